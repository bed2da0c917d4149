"""What the database refuses is found by trying; quarantine and lookups are bounded; batches are cut by size."""

import asyncio
from collections.abc import Callable, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.core.intake import WHOLE
from hub.core.lane import Message
from hub.core.quota import KEPT, MINUTE, Quota, let_through
from hub.core.rows import Quarantined
from hub.model import Lane
from hub.runtime.refusals import Fits, Place, Refused, find_refused, judged
from hub.runtime.strangers import Strangers

SECOND = 1_000_000
T0 = 1_795_000_000 * SECOND
PLACES = [("s", 1, n) for n in range(40)]


def trying(takes: Callable[[frozenset[Place]], bool]) -> Fits:
    """A database that takes a set of samples or not."""

    async def fits(left_out: frozenset[Place]) -> bool | None:
        return takes(frozenset(PLACES) - left_out)

    return fits


def found(takes: Callable[[frozenset[Place]], bool]) -> frozenset[Place] | None:
    return asyncio.run(find_refused(PLACES, trying(takes)))


@given(st.sets(st.sampled_from(PLACES), min_size=1))
def test_exactly_the_refused_samples_are_found(bad: set[Place]) -> None:
    assert found(lambda given: not given & bad) == frozenset(bad)


@given(st.sets(st.sampled_from(PLACES), min_size=2, max_size=8))
def test_where_samples_only_contradict_each_other_one_is_left_out_and_no_press_more(together: set[Place]) -> None:
    assert found(lambda given: not together <= given) == frozenset({max(together)})


def test_where_nothing_goes_in_the_samples_are_not_to_blame() -> None:
    assert found(lambda given: False) is None


def test_a_search_that_loses_the_database_names_nobody() -> None:
    async def lost(left_out: frozenset[Place]) -> bool | None:
        return None

    assert asyncio.run(find_refused(PLACES, lost)) == frozenset()


# quarantine and lookups -----------------------------------------------------------------------------------------------


def row(client: str = "edge-1", code: str = "device") -> Quarantined:
    return Quarantined(None, client, "topic", None, None, None, code, "unknown", b"x")


def test_an_edge_that_repeats_its_nonsense_fills_a_minute_with_a_few_rows_and_a_count() -> None:
    quota, written = Quota(), 0
    for second in range(60):
        quota, rows = let_through(quota, [row()] * 100, T0 // MINUTE * MINUTE + second * SECOND)
        written += len(rows)
    assert written == KEPT
    quota, rows = let_through(quota, [], (T0 // MINUTE + 1) * MINUTE)
    assert [each.reason.split(" ")[0] for each in rows] == [str(6000 - KEPT)]
    assert let_through(quota, [], (T0 // MINUTE + 1) * MINUTE + 1)[1] == []


def test_what_a_spool_declares_as_dropped_is_always_kept() -> None:
    rows = [row(code="dropped")] * 500
    assert let_through(Quota(), rows, T0)[1] == rows


def test_one_clients_flood_hides_no_row_of_another_client_or_code() -> None:
    quota, _ = let_through(Quota(), [row()] * 500, T0)
    others = [row("edge-2"), row(code="point")]
    assert let_through(quota, others, T0)[1] == others


@given(st.lists(st.tuples(st.integers(0, 90), st.integers(0, 100)), max_size=40))
def test_every_refusal_is_kept_or_counted(steps: list[tuple[int, int]]) -> None:
    quota, now, kept, told = Quota(), T0, 0, 0
    for wait, count in [*steps, (120, 0)]:
        now += wait * SECOND
        quota, rows = let_through(quota, [row()] * count, now)
        summaries = [each for each in rows if each.source == "quarantine"]
        told += sum(int(each.reason.split(" ")[0]) for each in summaries)
        kept += len(rows) - len(summaries)
    assert kept + told == sum(count for _, count in steps)


def test_a_flood_of_new_names_asks_for_the_registry_once_in_five_seconds() -> None:
    strangers = Strangers()
    looks = sum(strangers.worth_a_look({("edge-1", str(n))}, T0 + n * 1000) for n in range(12_000))
    assert looks == 3


def test_a_name_that_was_looked_up_is_looked_up_again_after_a_while_and_another_client_at_once() -> None:
    strangers = Strangers()
    assert strangers.worth_a_look({("edge-1", "a")}, T0)
    assert not strangers.worth_a_look({("edge-1", "a")}, T0 + 2 * SECOND)
    assert strangers.worth_a_look({("edge-2", "a")}, T0 + 2 * SECOND)
    assert strangers.worth_a_look({("edge-1", "a")}, T0 + 6 * SECOND)


def test_edges_that_nobody_registers_cost_a_small_part_of_the_time_however_many_there_are_and_a_new_one_is_looked_up_at_once() -> (
    None
):
    strangers, now, waited = Strangers(), T0, 0
    names = [f"edge-{n}" for n in range(50)]
    while now < T0 + 500 * SECOND:
        for name in names:  # each speaks every few seconds, and a look takes two
            now += SECOND // 10
            if strangers.worth_a_look({(name, "")}, now):
                now += 2 * SECOND
                waited += 2 * SECOND
                strangers.looked(2 * SECOND, now)
        if now > T0 + 250 * SECOND and "new" not in names:
            assert strangers.worth_a_look({("new", "")}, now)
            names.append("new")
    first = len(names) * 2 * SECOND
    assert waited - first <= 500 * SECOND // 15


# over which judging falls ---------------------------------------------------------------------------------------------

MESSAGES = [Message("t", "edge-1", Lane.BULK, "s", seq, bytes([seq])) for seq in range(1, 9)]
SAMPLES = [("s", one.seq, n) for one in MESSAGES for n in range(3)]


@given(st.sets(st.sampled_from(SAMPLES)), st.sets(st.sampled_from([one.seq for one in MESSAGES])))
def test_over_whatever_judging_falls_exactly_that_is_left_out_and_all_else_is_judged(
    bad: set[Place], unreadable: set[int]
) -> None:
    said: list[Place] = []

    def judge(messages: Sequence[Message], refused: Refused) -> list[Place]:
        taken = []
        for one in messages:
            if ("s", one.seq, WHOLE) in refused:
                continue
            if one.seq in unreadable:
                raise ZeroDivisionError
            for n in range(3):
                if ("s", one.seq, n) in bad - refused:
                    raise ZeroDivisionError
                taken += [("s", one.seq, n)] if ("s", one.seq, n) not in refused else []
        return taken

    def samples_of(messages: Sequence[Message], refused: Refused) -> list[Place]:
        return [("s", one.seq, n) for one in messages for n in range(3) if ("s", one.seq, n) not in refused]

    taken, refused = judged(MESSAGES, frozenset(), judge, samples_of, lambda _, place, __: said.append(place))
    assert set(said) == refused
    # two mistakes in one message: no single sample is to blame, so all of it is left out
    many = {seq for seq in range(1, 9) if sum(place[1] == seq for place in bad) > 1}
    whole = unreadable | many
    assert refused == {("s", seq, WHOLE) for seq in whole} | {place for place in bad if place[1] not in whole}
    assert taken == [place for place in SAMPLES if place[1] not in whole and place not in bad]


def test_what_falls_over_no_message_at_all_is_no_messages_fault() -> None:
    def judge(messages: Sequence[Message], refused: Refused) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        judged(MESSAGES, frozenset(), judge, lambda *_: [], lambda *_: None)
