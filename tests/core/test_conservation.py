"""Conservation: what a client declares is held against what came, every item has one fate, and what is missing is a gap."""

from collections import Counter
from dataclasses import asdict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.core import wire
from hub.core.draft import Draft
from hub.core.lane import Message
from hub.core.rows import Gap, Tally
from hub.core.wire import Items
from hub.model import Lane, Micros, Reject, Sample
from tests.core.lane_world import SECOND, T0, World, sample

DROPPED = wire.encode_up((), [Reject(T0, "edge:spool", "dropped", "the spool is full")])
EMPTY = wire.encode_up(())


class Client:
    """A spool that counts: it gives messages numbers and says how much they hold."""

    def __init__(self, *, later: bool = False) -> None:
        self.world = World(Lane.BULK)
        self.world.now += 3600 * SECOND * later  # all of it waited in the spool
        self.through = 0

    def message(self, payload: bytes, held: int, dropped: int = 0, waiting: int = 0) -> Message:
        self.world.seq += 1
        self.through += held
        declared = Items(self.through, self.through + waiting, dropped)
        return self.world.raw(payload, self.world.seq)._replace(items=declared)

    def say(self, *samples: Sample, lost: int = 0) -> Draft:
        return self.world.take(self.message(wire.encode_up(samples), len(samples) + lost))

    def give_up(self, held: int, payload: bytes = EMPTY) -> Draft:
        return self.world.take(self.message(payload, held, dropped=held))

    def celsius(self, at: Micros, value: float = 20.0) -> Draft:
        return self.say(sample("heat-1", "celsius", value, at))


def tally(draft: Draft) -> Tally:
    (found,) = draft.tallies.values()
    return found


def balance(found: Tally) -> int:
    counts = Counter(asdict(found))
    return 2 * (counts["produced"] + counts["surplus"]) - counts.total()


ITEMS = st.sampled_from(
    [
        sample("heat-1", "celsius", 20.0),
        sample("heat-1", "celsius", 30.0, T0 + 1),
        sample("heat-1", "alive", 1, T0 + 2),
        sample("heat-1", "door", "open", T0 + 3),
        sample("nobody", "celsius", 1.0),
        sample("heat-1", "nonsense", 1.0),
    ]
)
STEPS = st.tuples(st.sampled_from(["say", "say", "garble", "give-up", "declare"]), st.lists(ITEMS, max_size=5))


@given(st.lists(STEPS, max_size=12))
def test_an_honest_client_is_balanced_whatever_it_sends_drops_and_garbles(
    steps: list[tuple[str, list[Sample]]],
) -> None:
    client = Client()
    total: Counter[str] = Counter()
    for what, samples in steps:
        payload = wire.encode_up(samples)
        if what == "garble" and samples:
            draft = client.world.take(client.message(b"\xff" + payload, len(samples)))
        elif what in ("give-up", "declare") and samples:
            draft = client.give_up(len(samples), DROPPED if what == "declare" else EMPTY)
        else:
            draft = client.say(*samples)
        assert balance(tally(draft)) == 0
        total += Counter(asdict(tally(draft)))
    assert total["produced"] == client.through
    assert (total["missing"], total["surplus"]) == (0, 0)


def test_an_item_that_was_given_a_number_and_came_in_no_message_is_missing() -> None:
    client = Client()
    client.celsius(T0)
    found = tally(client.say(sample("heat-1", "celsius", 30.0, T0 + SECOND), lost=2))
    assert (found.produced, found.stored, found.missing, found.surplus) == (3, 1, 2, 0)
    assert balance(found) == 0
    assert tally(client.celsius(T0 + 2 * SECOND)).missing == 0, "said once"


def test_an_item_that_was_never_declared_is_surplus() -> None:
    client = Client()
    client.celsius(T0)
    found = tally(client.say(sample("heat-1", "celsius", 30.0, T0 + 1), sample("heat-1", "alive", 1, T0), lost=-1))
    assert (found.produced, found.surplus, found.missing) == (1, 1, 0)
    assert balance(found) == 0


def test_of_a_message_that_is_garbage_as_a_whole_the_client_knows_how_much_it_was() -> None:
    client = Client()
    found = tally(client.world.take(client.message(b"{", 40)))
    assert (found.produced, found.quarantined, found.missing) == (40, 40, 0)


def test_who_declares_nothing_is_counted_as_it_comes_and_the_first_declaration_is_a_beginning() -> None:
    client = Client()
    client.world.say(sample("heat-1", "celsius", 20.0))
    client.through = 1000
    found = tally(client.celsius(T0 + 1))
    assert (found.produced, found.missing, found.surplus) == (1, 0, 0)
    assert tally(client.say(sample("heat-1", "celsius", 30.0, T0 + 2), lost=1)).missing == 1


def test_what_waits_in_the_spool_is_what_was_given_and_has_not_come() -> None:
    client = Client()
    client.world.take(client.message(wire.encode_up([sample("heat-1", "celsius", 20.0)]), 1, waiting=500))
    streamed = client.world.state.streams[client.world.stream]
    assert (streamed.counted, streamed.given) == (1, 501)


@given(st.lists(st.integers(0, 10**15), min_size=1, max_size=5))
def test_a_client_that_lies_makes_no_count_overflow(said: list[int]) -> None:
    world = World(Lane.BULK)
    for n in said:
        message = world.message(sample("heat-1", "celsius", 20.0))._replace(items=Items(n, n))
        found = tally(world.take(message))
        assert balance(found) == 0
        assert all(0 <= count <= 10**9 + 1 for count in asdict(found).values())


@pytest.mark.parametrize(
    ("items", "dropped", "expected"),
    [
        ("12/20", None, Items(12, 20)),
        ("12/20", "5", Items(12, 20, 5)),
        ("0/0", None, Items(0, 0)),
        ("20/12", None, None),
        ("-1/3", None, None),
        ("12", None, None),
        ("9999999999999999/9999999999999999", None, None),
        ("12/20", "1101", None),
        ("12/20", "x", Items(12, 20)),
        ("12/20", "٣", Items(12, 20)),
    ],
)
def test_a_declaration_is_read_strictly_and_nonsense_is_none(
    items: str, dropped: str | None, expected: Items | None
) -> None:
    given = [("items", items), *([] if dropped is None else [("dropped", dropped)])]
    assert wire.parse_items(given) == expected


@given(st.integers(0, 10**6), st.integers(0, 10**6), st.integers(0, 1100))
def test_a_declaration_travels_as_it_is(through: int, waiting: int, dropped: int) -> None:
    items = Items(through, through + waiting, dropped)
    properties = wire.properties_of("00000000-0000-0000-0000-000000000001-bulk", 7, items)
    assert wire.parse_items(properties) == items
    assert wire.parse_properties(properties, Lane.BULK) == ("00000000-0000-0000-0000-000000000001-bulk", 7)


# gaps ---------------------------------------------------------------------------------------------------------------


def test_what_a_full_spool_dropped_is_a_gap_from_the_last_reading_before_to_the_first_one_after() -> None:
    client = Client(later=True)
    client.celsius(T0)
    assert client.give_up(300).gaps == []
    assert client.give_up(200, DROPPED).gaps == []
    draft = client.celsius(T0 + 90 * SECOND)  # nor was the device silent: it is the spool that was full
    assert draft.gaps == [Gap("edge-1", Lane.BULK, None, T0, T0 + 90 * SECOND, "dropped", 500)]
    assert client.celsius(T0 + 91 * SECOND).gaps == []
    streamed = client.world.state.streams[client.world.stream]
    assert (streamed.drop_from, streamed.drop_items) == (None, 0)


def test_a_hole_between_two_beats_of_an_edge_is_a_gap_whatever_waited_in_between() -> None:
    client = Client(later=True)
    for second in (0, 1, 2, 60, 61):  # all of it comes at once, from a spool
        draft = client.say(sample("edge-1", "beat", second, T0 + second * SECOND))
        if second == 60:
            assert draft.gaps == [Gap("edge-1", Lane.BULK, None, T0 + 2 * SECOND, T0 + 60 * SECOND, "edge")]
        else:
            assert draft.gaps == []
    assert client.world.state.streams[client.world.stream].beat_at == T0 + 61 * SECOND


def test_a_clock_of_an_edge_that_was_set_back_is_no_gap_and_hides_none_after_it() -> None:
    client = Client(later=True)
    for at in (0, 1, 2, -100, -99):
        assert client.say(sample("edge-1", "beat", 9, T0 + at * SECOND)).gaps == []
    assert len(client.say(sample("edge-1", "beat", 9, T0 - 60 * SECOND)).gaps) == 1


def test_a_device_that_was_silent_for_longer_than_its_profile_allows_has_a_gap_of_its_own() -> None:
    client = Client(later=True)
    client.celsius(T0)
    draft = client.celsius(T0 + 40 * SECOND)
    assert draft.gaps == [Gap("edge-1", Lane.BULK, "heat-1", T0, T0 + 40 * SECOND, "device")]
    assert client.celsius(T0 + 42 * SECOND).gaps == []


def test_the_silence_of_a_device_while_its_edge_was_away_is_the_edges() -> None:
    client = Client(later=True)
    client.say(sample("edge-1", "beat", 1, T0), sample("heat-1", "celsius", 20.0, T0))
    client.say(sample("edge-1", "beat", 1, T0 + 60 * SECOND))
    assert client.celsius(T0 + 61 * SECOND).gaps == []
