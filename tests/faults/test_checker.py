"""The judge must see what it is there to see."""

from pathlib import Path

import pytest

from tests.faults.checker import judge, mispaged
from tests.faults.ledger import Ledger, Value, merge, read_ledgers


def value(number: int, device: str = "lamp-1") -> Value:
    return Value(device, "level", number)


ALL = Ledger({value(1), value(2), value(3)}, {value(1), value(2)})


def test_everything_stored_once_is_what_was_promised() -> None:
    report = judge(ALL, {value(1): 1, value(2): 1, value(3): 1}, kills=4, seed=9)
    assert report.ok
    assert str(report) == "4 kills, produced 3, confirmed 2, lost 0, doubled 0, seed 9"


def test_a_promised_value_that_is_not_there_is_lost() -> None:
    report = judge(ALL, {value(1): 1, value(3): 1})
    assert (report.lost, report.unstored, report.ok) == (1, 0, False)


def test_a_value_that_nobody_promised_is_owed_all_the_same() -> None:
    report = judge(ALL, {value(1): 1, value(2): 1})
    assert (report.lost, report.unstored, report.ok) == (0, 1, False)
    assert "unstored 1" in str(report)


def test_a_value_stored_twice_is_doubled() -> None:
    report = judge(ALL, {value(1): 1, value(2): 2, value(3): 1})
    assert (report.doubled, report.ok) == (1, False)


def test_a_value_that_nobody_sent_is_invented() -> None:
    report = judge(ALL, {value(1): 1, value(2): 1, value(3): 1, value(4): 1})
    assert (report.invented, report.ok) == (1, False)


@pytest.mark.parametrize("what", ["unbalanced", "quarantined", "miscounted", "mispaged", "overdue"])
def test_what_does_not_add_up_or_was_refused_is_no_success(what: str) -> None:
    assert not judge(ALL, {value(1): 1, value(2): 1, value(3): 1}, **{what: 1}).ok


def test_a_run_in_which_nothing_was_promised_proves_nothing() -> None:
    assert not judge(Ledger(), {}).ok


def test_ledgers_are_read_as_they_were_written_but_for_a_torn_last_line(tmp_path: Path) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    one.write_text("sent 1 lamp-1 1795296000000000\nok 1\nsent 2 lamp-2 1795296000000001\nok 2")
    other.write_text("sent 1 bare-u 1795296000000000\n")
    whole = merge(read_ledgers([one]), read_ledgers([other, tmp_path / "none"], ("level", "press")))
    assert whole.sent == {value(1), value(2, "lamp-2"), value(1, "bare-u"), Value("bare-u", "press", 1)}
    assert whole.promised == {value(1)}


def test_a_ledger_line_that_is_none_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "one").write_text("lost 1\n")
    with pytest.raises(ValueError, match="lost 1"):
        read_ledgers([tmp_path / "one"])


def page(key: str, repetition: int, state: str = "sent") -> tuple[str, str, int, int, int, str]:
    return key, "alarm", 1, 1, repetition, state


def test_every_page_sent_was_received_and_every_one_received_was_written() -> None:
    assert mispaged([page("a", 0), page("b", 1), page("c", 2, "pending")], {"a", "b"}) == []
    (unreceived,) = mispaged([page("a", 0), page("b", 1)], {"a"})
    assert unreceived.startswith("not received: ('b'")
    assert mispaged([page("a", 0)], {"a", "b"}) == ["not written: b"]
    (left_out,) = mispaged([page("a", 0), page("c", 2)], {"a", "c"})
    assert left_out.endswith("repetition 1")
