"""What counts as an answer."""

from hypothesis import given
from hypothesis import strategies as st

from drivers.modbus.frame import Asked, Stage, judge, tcp_frame

READ = Asked(transaction=7, unit=3, function=3, address=100, argument=2)
ANSWER = bytes.fromhex("0007 0000 0007 03 03 04 0001 0002".replace(" ", ""))


def _frame(pdu: str, transaction: int = 7, unit: int = 3) -> bytes:
    body = bytes([unit]) + bytes.fromhex(pdu)
    return transaction.to_bytes(2) + b"\0\0" + len(body).to_bytes(2) + body


def test_a_question_is_framed_as_the_standard_has_it() -> None:
    assert tcp_frame(READ) == bytes.fromhex("0007000000060303 00640002")
    several = Asked(transaction=7, unit=3, function=16, address=1, argument=2, registers=(10, 0x0102))
    assert tcp_frame(several) == bytes.fromhex("00070000000b03 10 0001 0002 04 000a 0102")  # 6.12, its example


def test_the_right_answer_is_whole_and_whatever_follows_it_is_left() -> None:
    assert judge(ANSWER, READ) == (Stage.WHOLE, ANSWER, "")
    assert judge(ANSWER + b"more", READ).frame == ANSWER


@given(st.integers(0, len(ANSWER) - 1))
def test_every_beginning_of_the_answer_waits_for_the_rest(size: int) -> None:
    assert judge(ANSWER[:size], READ).stage is (Stage.CUT if size else Stage.NOTHING)


def test_late_answers_to_earlier_questions_are_passed_over() -> None:
    late = _frame("0302ffff", transaction=6)
    assert judge(late, READ).stage is Stage.NOTHING
    assert judge(late + late + ANSWER, READ) == (Stage.WHOLE, ANSWER, "")
    assert judge(late + ANSWER[:5], READ).stage is Stage.CUT


def test_an_exception_answer_is_whole() -> None:
    assert judge(_frame("8302"), READ).stage is Stage.WHOLE


def test_nonsense_is_named() -> None:
    cases = {
        "protocol identifier": b"GET / HTTP/1.1\r\n",
        "the header says 0 bytes": b"\0\7\0\0\0\0",
        "the header says 65535 bytes": b"\0\7\0\0\xff\xff",
        "unit 4 answers a question to unit 3": _frame("030400010002", unit=4),
        "function 4 answers function 3": _frame("040400010002"),
        "2 bytes of values (2 announced) instead of 4": _frame("03020001"),
        "4 bytes of values (6 announced) instead of 4": _frame("030600010002"),
        "an exception answer of 3 bytes": _frame("830200"),
    }
    for reason, received in cases.items():
        verdict = judge(received, READ)
        assert verdict.stage is Stage.NONSENSE
        assert reason in verdict.reason


def test_a_device_asked_as_unit_0_may_answer_with_its_number() -> None:
    assert judge(ANSWER, READ._replace(unit=0)).stage is Stage.WHOLE


def test_bits_are_counted_in_bytes() -> None:
    asked = Asked(transaction=7, unit=3, function=1, address=0, argument=9)
    assert judge(_frame("0102ff01"), asked).stage is Stage.WHOLE
    assert judge(_frame("0101ff"), asked).stage is Stage.NONSENSE


def test_a_write_is_answered_by_its_echo() -> None:
    asked = Asked(transaction=7, unit=3, function=6, address=100, argument=5)
    assert judge(_frame("0600640005"), asked).stage is Stage.WHOLE
    assert judge(_frame("0600640006"), asked).stage is Stage.NONSENSE


@given(
    st.binary(max_size=600),
    st.builds(
        Asked, st.integers(0, 65_535), st.integers(0, 255), st.sampled_from([1, 2, 3, 4, 5, 6, 16]),
        st.integers(0, 65_535), st.integers(1, 2000),
    ),
)  # fmt: skip
def test_any_bytes_get_a_verdict_and_a_frame_only_when_whole(received: bytes, asked: Asked) -> None:
    verdict = judge(received, asked)
    assert (verdict.stage is Stage.WHOLE) == bool(verdict.frame)
    assert verdict.frame in received
    assert (verdict.stage in (Stage.NONSENSE, Stage.CUT)) == bool(verdict.reason)
