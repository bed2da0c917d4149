"""The spool: what it has taken is there after a kill at any instant, its numbers have no gap and are never used twice."""

import itertools
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hub.core.batching import Packed, pack
from hub.core.wire import decode_up
from hub.edge.spool import Message, Spool, SpoolBroken, SpoolFailed, open_spool
from hub.model import Lane, Reject, Sample, Series

LAMP = Series("lamp-1", "level")


def clock() -> int:
    return 1_795_296_000_000_000


def messages(*values: int) -> list[Packed]:
    return [packed for value in values for packed in pack([Sample(LAMP, value, value)])]


def values(spool: Spool, lane: Lane, after: int = 0) -> list[tuple[int, object]]:
    return [(m.seq, decode_up(m.payload).samples[0].sample.raw) for m in spool.unconfirmed(lane, after, 1000)]


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Spool]:
    with open_spool(tmp_path, clock) as opened:
        yield opened


def test_messages_are_numbered_from_one_without_a_gap_and_each_lane_by_itself(spool: Spool) -> None:
    assert spool.append(Lane.BULK, messages(10, 11)) == 2
    assert spool.append(Lane.URGENT, messages(20)) == 1
    assert spool.append(Lane.BULK, messages(12)) == 3
    assert values(spool, Lane.BULK) == [(1, 10), (2, 11), (3, 12)]
    assert values(spool, Lane.URGENT) == [(1, 20)]


def test_a_stream_is_named_after_its_lane_and_keeps_its_name(tmp_path: Path) -> None:
    with open_spool(tmp_path, clock) as spool:
        names = [spool.stream(lane) for lane in Lane]
    with open_spool(tmp_path, clock) as spool:
        assert [spool.stream(lane) for lane in Lane] == names
    assert [name[36:] for name in names] == ["-urgent", "-bulk"]


def test_what_is_sent_again_is_the_same_to_the_byte(tmp_path: Path) -> None:
    with open_spool(tmp_path, clock) as spool:
        spool.append(Lane.BULK, messages(1, 2, 3))
        first = spool.unconfirmed(Lane.BULK, 0, 10)
    with open_spool(tmp_path, clock) as spool:
        assert spool.unconfirmed(Lane.BULK, 0, 10) == first


def test_only_a_confirmation_lets_go_and_never_of_more_than_was_given(spool: Spool) -> None:
    spool.append(Lane.URGENT, messages(1, 2, 3))
    assert spool.confirm(Lane.URGENT, 2) == 2
    assert values(spool, Lane.URGENT) == [(3, 3)]
    assert spool.confirm(Lane.URGENT, 99) == 1
    assert spool.confirmed(Lane.URGENT) == 3
    assert spool.append(Lane.URGENT, messages(4)) == 4


def test_a_number_is_not_used_again_after_everything_was_confirmed_and_the_edge_restarted(tmp_path: Path) -> None:
    with open_spool(tmp_path, clock) as spool:
        spool.append(Lane.BULK, messages(1, 2))
        spool.confirm(Lane.BULK, 2)
    with open_spool(tmp_path, clock) as spool:
        assert (spool.last(Lane.BULK), spool.confirmed(Lane.BULK)) == (2, 2)
        assert spool.append(Lane.BULK, messages(3)) == 3


def test_reading_goes_on_from_where_it_is_asked_and_stops_at_the_limit(spool: Spool) -> None:
    spool.append(Lane.BULK, messages(*range(1, 11)))
    assert [message.seq for message in spool.unconfirmed(Lane.BULK, 4, 3)] == [5, 6, 7]
    assert spool.unconfirmed(Lane.BULK, 10, 3) == []


def test_it_counts_what_waits_the_same_before_and_after_a_restart(tmp_path: Path) -> None:
    with open_spool(tmp_path, clock) as spool:
        spool.append(Lane.BULK, [*messages(1), *pack([Sample(LAMP, 1, 1), Sample(LAMP, 2, 2)])])
        spool.confirm(Lane.BULK, 1)
        before = spool.depth(Lane.BULK)
    with open_spool(tmp_path, clock) as spool:
        assert spool.depth(Lane.BULK) == before
    assert (before.messages, before.samples, before.dropped) == (1, 2, 0)


def test_a_full_spool_gives_up_the_oldest_bulk_says_how_much_and_leaves_no_gap(tmp_path: Path) -> None:
    heavy = [pack([Sample(LAMP, n, "x" * 900)] * 4)[0] for n in range(10)]
    size = len(heavy[0].payload)
    with open_spool(tmp_path, clock, budget=6 * size) as spool, structlog.testing.capture_logs() as said:
        for message in heavy:
            spool.append(Lane.BULK, [message])
        kept = spool.unconfirmed(Lane.BULK, 0, 100)
        depth = spool.depth(Lane.BULK)
    assert [message.seq for message in kept] == list(range(1, 11))
    ups = [decode_up(message.payload) for message in kept]
    dropped = [up for up in ups if not up.samples]
    assert ups[: len(dropped)] == dropped
    assert 4 <= len(dropped) <= 6
    assert depth.bytes <= 6 * size
    assert depth.dropped == 4 * len(dropped)
    declared = [numbered.reject for up in dropped for numbered in up.rejects]
    assert {reject.code for reject in declared} == {"dropped"}
    assert declared[0].reason == "the spool is full: 8 samples in messages 1 to 2 were dropped"
    assert said[-1]["event"] == "spool.dropped"
    assert said[-1]["total"] == depth.dropped


def test_a_full_spool_of_small_messages_is_bounded_too_and_the_loss_is_declared_and_said_rarely(tmp_path: Path) -> None:
    with open_spool(tmp_path, clock, budget=100_000) as spool, structlog.testing.capture_logs() as said:
        for n in range(3000):
            spool.append(Lane.BULK, messages(n))
        depth, kept = spool.depth(Lane.BULK), spool.unconfirmed(Lane.BULK, 0, 5000)
    ups = [decode_up(message.payload) for message in kept]
    assert [message.seq for message in kept] == list(range(1, 3001))
    assert depth.bytes == sum(len(message.payload) for message in kept)
    assert depth.bytes <= 3000 * 36 + 100_000
    assert depth.samples == sum(len(up.samples) for up in ups) == 3000 - depth.dropped
    reasons = [numbered.reject.reason for up in ups for numbered in up.rejects]
    assert sum(int(reason.removeprefix("the spool is full: ").split()[0]) for reason in reasons) == depth.dropped
    assert len(said) <= len(reasons) < 1500
    with open_spool(tmp_path, clock, budget=100_000) as again:
        assert again.depth(Lane.BULK) == depth


def test_the_urgent_lane_is_never_dropped(tmp_path: Path) -> None:
    with open_spool(tmp_path, clock, budget=1000) as spool:
        for n in range(50):
            spool.append(Lane.URGENT, pack([Sample(LAMP, n, "x" * 900)]))
        assert spool.depth(Lane.URGENT).samples == 50
        assert spool.depth(Lane.URGENT).dropped == 0


def test_a_message_that_the_broker_does_not_take_is_cut_up_and_nothing_of_it_is_lost(spool: Spool) -> None:
    long = [Sample(LAMP, n, f"{n:04} {'x' * 300}") for n in range(40)]
    spool.append(Lane.URGENT, [*pack(long, [Reject(7, "line", "checksum", "wrong")]), *messages(1)])
    assert spool.split(Lane.URGENT, 2000) == 1
    stored = spool.unconfirmed(Lane.URGENT, 0, 100)
    assert max(len(message.payload) for message in stored) <= 2000
    assert [message.seq for message in stored] == list(range(1, len(stored) + 1))
    assert stored[-1].through == spool.items(Lane.URGENT) == 42, "as many as were written"
    read = [decode_up(message.payload) for message in stored]
    assert {one.sample.at for up in read for one in up.samples if one.sample.raw != 1} == set(range(40))
    assert [one.reject.code for up in read for one in up.rejects] == ["checksum"]
    throughs = [message.through for message in stored]
    assert throughs == list(itertools.accumulate(len(up.samples) + len(up.rejects) for up in read))
    assert spool.split(Lane.URGENT, 2000) == 0
    assert spool.depth(Lane.URGENT).samples == 41


def test_a_sample_that_alone_is_more_than_the_broker_takes_is_a_reject_that_says_so(spool: Spool) -> None:
    spool.append(Lane.URGENT, pack([Sample(LAMP, 1, 1), Sample(LAMP, 2, "x" * 300), Sample(LAMP, 3, 3)]))
    with structlog.testing.capture_logs() as said:
        spool.split(Lane.URGENT, 300)
    assert [line["log_level"] for line in said if line["event"] == "spool.too_large"] == ["critical"]
    read = [decode_up(message.payload) for message in spool.unconfirmed(Lane.URGENT, 0, 10)]
    assert [one.sample.raw for up in read for one in up.samples] == [1, 3]
    ((code, reason),) = {(one.reject.code, one.reject.reason[-26:]) for up in read for one in up.rejects}
    assert (code, reason) == ("mqtt-size", "bytes, the broker takes 300"[-26:])
    assert spool.lost[Lane.URGENT] == 1


def test_a_stream_that_begins_anew_has_another_name_and_counts_from_one(spool: Spool) -> None:
    spool.append(Lane.BULK, messages(*range(1, 6)))
    spool.confirm(Lane.BULK, 3)
    before = spool.stream(Lane.BULK)
    assert spool.restart(Lane.BULK) == spool.stream(Lane.BULK) != before
    assert values(spool, Lane.BULK) == [(1, 4), (2, 5)]
    assert (spool.last(Lane.BULK), spool.confirmed(Lane.BULK)) == (2, 0)
    assert spool.append(Lane.BULK, messages(6)) == 3


def test_a_second_process_is_refused(tmp_path: Path, spool: Spool) -> None:
    with pytest.raises(SpoolFailed, match="another process"), open_spool(tmp_path, clock):
        pass


def test_a_folder_that_cannot_be_made_is_said_by_name(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SpoolFailed, match="file/spool"), open_spool(tmp_path / "file" / "spool", clock):
        pass


@pytest.mark.parametrize("damage", [b"not a database at all" * 100, b"SQLite format 3\0" + b"\xff" * 4000])
def test_a_corrupt_file_is_moved_aside_loudly_and_a_new_stream_begins(tmp_path: Path, damage: bytes) -> None:
    with open_spool(tmp_path, clock) as spool:
        spool.append(Lane.URGENT, messages(1, 2, 3))
        before = spool.stream(Lane.URGENT)
    (tmp_path / "spool.db").write_bytes(damage)
    with structlog.testing.capture_logs() as said, open_spool(tmp_path, clock) as spool:
        assert spool.stream(Lane.URGENT) != before
        assert spool.append(Lane.URGENT, messages(4)) == 1
    assert [(line["event"], line["log_level"]) for line in said] == [("spool.corrupt", "critical")]
    assert (tmp_path / f"spool.corrupt-{clock()}.db").read_bytes() == damage


def test_a_page_that_went_bad_in_the_middle_is_found_at_the_next_start(tmp_path: Path) -> None:
    with open_spool(tmp_path, clock) as spool:
        spool.append(Lane.BULK, [pack([Sample(LAMP, n, "x" * 900)])[0] for n in range(200)])
    path = tmp_path / "spool.db"
    content = bytearray(path.read_bytes())
    content[4096 * 3 : 4096 * 20] = os.urandom(4096 * 17)
    path.write_bytes(content)
    with structlog.testing.capture_logs() as said, open_spool(tmp_path, clock) as spool:
        assert spool.last(Lane.BULK) == 0
    assert said[0]["event"] == "spool.corrupt"


def test_a_spool_of_a_newer_program_is_refused_and_left_alone(tmp_path: Path) -> None:
    with open_spool(tmp_path, clock) as spool:
        spool.append(Lane.URGENT, messages(1))
    with sqlite3.connect(tmp_path / "spool.db") as connection:
        connection.execute("pragma user_version = 99")
    connection.close()
    with pytest.raises(SpoolFailed, match="99"), open_spool(tmp_path, clock):
        pass
    assert sorted(path.name for path in tmp_path.iterdir()) == ["lock", "reserve", "spool.db"]


def test_a_full_disk_refuses_the_append_keeps_what_is_there_and_gives_no_number_away(spool: Spool) -> None:
    spool.append(Lane.URGENT, messages(1))
    (pages,) = spool._db.execute("pragma page_count").fetchone()
    spool._db.execute(f"pragma max_page_count = {pages}")
    with pytest.raises(SpoolFailed, match="full"):
        spool.append(Lane.URGENT, [pack([Sample(LAMP, n, "x" * 900)])[0] for n in range(20)])
    spool._db.execute(f"pragma max_page_count = {pages + 1000}")
    assert spool.append(Lane.URGENT, messages(2)) == 2
    assert values(spool, Lane.URGENT) == [(1, 1), (2, 2)]
    assert spool.depth(Lane.URGENT).messages == 2


def test_damage_while_it_runs_is_another_error_than_a_disk_that_is_full(tmp_path: Path, spool: Spool) -> None:
    spool.append(Lane.BULK, [pack([Sample(LAMP, n, "x" * 900)])[0] for n in range(200)])
    spool._db.execute("pragma wal_checkpoint(truncate)")
    with (tmp_path / "spool.db").open("r+b") as file:
        file.seek(4096 * 2)
        file.write(b"\xff" * 4096 * 40)
    spool._db.execute("pragma cache_size = 0")
    spool._db.execute("pragma shrink_memory")
    with pytest.raises(SpoolBroken, match="malformed"):
        spool.unconfirmed(Lane.BULK, 0, 200)


steps = st.lists(
    st.tuples(st.just("append"), st.integers(1, 5))
    | st.tuples(st.just("confirm"), st.integers(0, 40))
    | st.tuples(st.just("reopen"), st.just(0)),
    max_size=25,
)


@given(steps=steps)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_run_of_appends_confirmations_and_restarts_keeps_exactly_the_unconfirmed(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, int]]
) -> None:
    folder, last, confirmed = tmp_path_factory.mktemp("spool"), 0, 0
    context = open_spool(folder, clock)
    spool = context.__enter__()
    try:
        for step, number in steps:
            if step == "append":
                assert spool.append(Lane.BULK, messages(*range(last + 1, last + number + 1))) == last + number
                last += number
            elif step == "confirm":
                spool.confirm(Lane.BULK, number)
                confirmed = max(confirmed, min(number, last))
            else:
                context.__exit__(None, None, None)
                context = open_spool(folder, clock)
                spool = context.__enter__()
            assert values(spool, Lane.BULK) == [(n, n) for n in range(confirmed + 1, last + 1)]
            assert spool.depth(Lane.BULK).messages == last - confirmed
    finally:
        context.__exit__(None, None, None)


WRITER = """
import sys
from pathlib import Path
from hub.core.batching import pack
from hub.edge.spool import open_spool
from hub.model import Lane, Sample, Series
with open_spool(Path(sys.argv[1]), lambda: 0) as spool:
    while True:
        value = spool.last(Lane.URGENT) + 1
        spool.append(Lane.URGENT, pack([Sample(Series("lamp-1", "level"), value, value)]))
        if value % 7 == 0:
            spool.confirm(Lane.URGENT, value - 3)
        print(value, flush=True)
"""


def test_killed_at_any_instant_nothing_that_was_said_to_be_safe_is_missing(tmp_path: Path) -> None:
    said = 0
    for round_ in range(6):
        with subprocess.Popen(
            [sys.executable, "-c", WRITER, str(tmp_path)], stdout=subprocess.PIPE, text=True
        ) as writer:
            assert writer.stdout is not None
            for _ in range(5 + 13 * round_):
                said = int(writer.stdout.readline())
            writer.send_signal(signal.SIGKILL)
            rest = writer.stdout.read().split("\n")[:-1]
            said = int(rest[-1]) if rest else said
        with open_spool(tmp_path, clock) as spool:
            last, confirmed = spool.last(Lane.URGENT), spool.confirmed(Lane.URGENT)
            assert said <= last <= said + 1
            assert values(spool, Lane.URGENT) == [(n, n) for n in range(confirmed + 1, last + 1)]
            assert [type(message) for message in spool.unconfirmed(Lane.URGENT, 0, 1)] in ([], [Message])


# conservation -------------------------------------------------------------------------------------------------------


def counted(spool: Spool, lane: Lane) -> list[tuple[int, int]]:
    return [(message.through, message.dropped) for message in spool.unconfirmed(lane, 0, 10_000)]


def test_it_counts_what_it_gave_numbers_over_restarts_and_confirmations(tmp_path: Path) -> None:
    reject = Reject(1, "line", "checksum", "wrong")
    with open_spool(tmp_path, clock) as spool:
        spool.append(Lane.BULK, [*messages(1), *pack([Sample(LAMP, n, n) for n in range(3)], [reject])])
        assert counted(spool, Lane.BULK) == [(1, 0), (5, 0)]
        spool.confirm(Lane.BULK, 1)
    with open_spool(tmp_path, clock) as spool:
        assert spool.items(Lane.BULK) == 5
        spool.append(Lane.BULK, messages(4))
        assert counted(spool, Lane.BULK) == [(5, 0), (6, 0)]


def test_what_it_dropped_and_what_could_not_be_sent_stays_counted(tmp_path: Path) -> None:
    with open_spool(tmp_path, clock, budget=100_000) as spool:
        for n in range(3000):
            spool.append(Lane.BULK, messages(n))
        spool.split(Lane.BULK, 60)
        found, depth = counted(spool, Lane.BULK), spool.depth(Lane.BULK)
    assert [through for through, _ in found] == list(range(1, 3001))
    assert sum(dropped for _, dropped in found) == depth.dropped == 3000


def test_a_stream_that_begins_anew_counts_what_it_takes_along(spool: Spool) -> None:
    for n in range(4):
        spool.append(Lane.BULK, pack([Sample(LAMP, n, n)] * 3))
    spool.confirm(Lane.BULK, 2)
    spool.restart(Lane.BULK)
    assert counted(spool, Lane.BULK) == [(3, 0), (6, 0)]
    assert spool.items(Lane.BULK) == 6


def test_a_spool_of_the_version_that_did_not_count_is_taken_over_with_what_it_holds(tmp_path: Path) -> None:
    old = sqlite3.connect(tmp_path / "spool.db")
    old.executescript(
        """
        create table stream (lane text primary key, stream text not null, last integer not null default 0,
            confirmed integer not null default 0, dropped integer not null default 0) strict;
        create table message (lane text not null, seq integer not null, samples integer not null, payload blob not null,
            primary key (lane, seq)) strict;
        insert into stream values ('bulk', '00000000-0000-0000-0000-000000000001-bulk', 8, 7, 2);
        pragma user_version = 1;
        """
    )
    old.execute("insert into message values ('bulk', 8, 1, ?)", (messages(8)[0].payload,))
    old.commit()
    old.close()
    with open_spool(tmp_path, clock) as spool:
        assert values(spool, Lane.BULK) == [(8, 8)]
        assert spool.append(Lane.BULK, messages(9)) == 9
        assert counted(spool, Lane.BULK) == [(-1, 0), (1, 0)]
        assert spool.stream(Lane.BULK).startswith("00000000")
