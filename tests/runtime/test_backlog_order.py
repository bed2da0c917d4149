"""Behind a backlog a press goes before the beats, and nothing else changes: each client's order, what is settled when, that all of it goes."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from hub.mqtt import Incoming
from hub.runtime.backlog import Backlog

LIMIT, SIZE = 4, 100


def message(number: int, client: int, loud: bool = False, size: int = 1) -> Incoming:
    return Incoming(f"edge-{client}", (b"!" if loud else b".") * size, (), False, 1, number, 1)


def is_loud(item: Incoming) -> bool:
    return item.payload.startswith(b"!")


drawn = st.lists(
    st.lists(
        st.tuples(st.integers(0, 4), st.sampled_from([False, False, False, True]), st.integers(0, 150)), max_size=12
    ),
    min_size=1,
    max_size=6,
)


@given(drawn)
def test_everything_goes_once_each_client_in_order_and_is_settled_in_order_after_it_was_committed(
    groups: list[Any],
) -> None:
    came: list[Incoming] = []
    went: list[Incoming] = []
    settled: list[Incoming] = []
    backlog = Backlog(is_loud)
    waiting = [*groups]
    while waiting or len(backlog):
        for client, loud, size in waiting.pop(0) if waiting else []:
            came.append(message(len(came), client, loud, size))
            backlog.add(came[-1:])
        batch = backlog.next(LIMIT, SIZE)
        assert bool(batch) == bool(len(backlog) or batch)
        assert len(batch) <= LIMIT
        assert len(batch) == 1 or sum(len(item.payload) for item in batch.values()) <= SIZE
        went += batch.values()
        settled += backlog.done(batch)
        committed = {item.mid for item in went}
        assert [item.mid for item in settled] == [n for n in range(len(settled)) if n in committed]
    assert settled == came
    for client in {item.topic for item in came}:
        assert [item for item in went if item.topic == client] == [item for item in came if item.topic == client]


@given(st.integers(0, 500), st.integers(0, 3), st.booleans())
def test_a_press_waits_for_two_batches_however_much_came_before_it(beats: int, own: int, storm: bool) -> None:
    """`own`: beats of the same client before it; `storm`: another client raises alarms without end."""
    backlog = Backlog(is_loud)
    backlog.add(message(n, n % 50) for n in range(beats))
    backlog.add(message(1000 + n, 99) for n in range(own))
    press = message(2000, 99, loud=True)
    if storm:
        backlog.add(message(1500 + n, 77, loud=True) for n in range(LIMIT))
    backlog.add([press])
    batches = 0
    while press not in backlog.next(LIMIT, SIZE).values():
        batches += 1
    assert batches <= (3 if storm else 1)


def test_who_raises_alarms_without_end_does_not_hold_up_the_others() -> None:
    backlog, beats = Backlog(is_loud), 0
    backlog.add(message(n, 1) for n in range(100))
    for n in range(60):
        backlog.add(message(1000 + k, 2, loud=True) for k in range(LIMIT * n, LIMIT * n + LIMIT))
        beats += sum(not is_loud(item) for item in backlog.next(LIMIT, SIZE).values())
    assert beats == 100


def test_where_all_fits_into_one_batch_nobody_is_asked_what_it_is() -> None:
    asked: list[Incoming] = []
    backlog = Backlog(lambda item: not asked.append(item))  # type: ignore[func-returns-value]
    backlog.add(message(n, n) for n in range(LIMIT))
    assert [item.mid for item in backlog.next(LIMIT, SIZE).values()] == list(range(LIMIT))
    assert asked == []
    assert not backlog.next()


def test_each_is_asked_about_once() -> None:
    asked: list[int] = []

    def note(item: Incoming) -> bool:
        asked.append(item.mid)
        return False

    backlog = Backlog(note)
    backlog.add(message(n, n) for n in range(10 * LIMIT))
    while backlog.next(LIMIT, SIZE):
        pass
    assert asked == sorted(set(asked))
