"""A disk that is full, read-only, broken or silent loses no fire and no panic; what memory had to do is counted and said.

SQLite's own refusals stand for the disk in most cases here (`max_page_count`: full, `query_only`: read-only), a small tmpfs, a mount that is
read-only and RLIMIT_FSIZE for the real thing.
"""

import asyncio
import contextlib
import os
import resource
import signal
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest
import structlog

from hub.core.batching import pack
from hub.core.window import Window
from hub.core.wire import Confirmation, decode_up
from hub.edge import intake as intake_module
from hub.edge import own_points
from hub.edge.disk import Disk
from hub.edge.intake import Intake
from hub.edge.spool import Spool, SpoolBroken, SpoolFailed, memory_spool, open_spool
from hub.edge.uplink import Uplink, _Leg
from hub.model import Lane, Sample, Series
from hub.runtime.links import Held
from hub.testing import eventually
from tests import lampbus
from tests.brokers import OwnBroker
from tests.edge.conftest import NOW
from tests.edge.fake_hub import FakeHub, serving
from tests.edge.sites import document
from tests.edge.sites import running as site_running
from tests.edge.test_process import bundle, start

LAMP = Series("lamp-1", "level")


def lamp(*values: int) -> list[Sample]:
    return [Sample(LAMP, value, value) for value in values]


def heavy(count: int) -> list[Sample]:
    return [Sample(LAMP, n, "x" * 900) for n in range(count)]


def fill(spool: Spool) -> None:
    """As a full disk: SQLITE_FULL for everything that needs another page."""
    (pages,) = spool._db.execute("pragma page_count").fetchone()
    spool._db.execute(f"pragma max_page_count = {pages}")
    for text in ("x" * 900, "y"):
        with pytest.raises(SpoolFailed, match="full"):
            for _ in range(500):
                spool.append(Lane.URGENT, pack([Sample(LAMP, 0, text)]))


def make_room(spool: Spool) -> None:
    spool._db.execute("pragma max_page_count = 1000000")


def read_only(spool: Spool, on: bool = True) -> None:
    spool._db.execute(f"pragma query_only = {int(on)}")


def spooled(spool: Spool, lane: Lane = Lane.URGENT) -> list[object]:
    ups = [decode_up(message.payload) for message in spool.unconfirmed(lane, 0, 1000)]
    return [numbered.sample.raw for up in ups for numbered in up.samples]


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(intake_module, "PROBE", 0.05)
    monkeypatch.setattr(intake_module, "GRACE", 0.5)


@contextlib.asynccontextmanager
async def running(intake: Intake) -> AsyncIterator[Intake]:
    tasks = [asyncio.create_task(intake.run(lane)) for lane in Lane]
    watch = asyncio.create_task(intake.watch())
    try:
        yield intake
    finally:
        await intake.close()
        await asyncio.wait(tasks, timeout=20)
        watch.cancel()
        await asyncio.wait([watch])
        for task in tasks:
            task.result()
        intake.shutdown()


@contextlib.asynccontextmanager
async def carrying(broker: OwnBroker, intake: Intake) -> AsyncIterator[None]:
    task = asyncio.create_task(Uplink(broker.as_user(), 3, "edge-1", intake, lambda: NOW).run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])


@pytest.mark.parametrize(("fail", "mend"), [(fill, make_room), (read_only, lambda spool: read_only(spool, False))])
async def test_an_alarm_goes_up_from_memory_and_bulk_is_refused_while_the_disk_takes_nothing(
    broker: OwnBroker, spool: Spool, fail: Callable[[Spool], None], mend: Callable[[Spool], None]
) -> None:
    hub = FakeHub()
    fail(spool)
    before = len(spooled(spool))
    async with (
        running(Intake(spool, clock=lambda: NOW)) as intake,
        serving(hub, broker.as_user()),
        carrying(broker, intake),
    ):
        with pytest.raises(Held) as held:
            await intake.put(Lane.URGENT, lamp(1))
        with pytest.raises(SpoolFailed):
            await intake.put(Lane.BULK, heavy(5))
        await eventually(lambda: 1 in hub.values(Lane.URGENT))
        await asyncio.wait_for(held.value.safe, 20)  # the hub has it: now a push source may be told
        assert intake.held == 1
        assert intake.failing
        mend(spool)
        await eventually(lambda: not intake.failing)
        await intake.put(Lane.URGENT, lamp(2))
        await intake.put(Lane.BULK, lamp(3))
        await eventually(lambda: 2 in hub.values(Lane.URGENT) and hub.values(Lane.BULK) == [3])
    assert [value for value in hub.values(Lane.URGENT) if isinstance(value, int)] == [1, 2]
    assert len(hub.values(Lane.URGENT)) == before + 2


async def test_what_memory_holds_is_not_said_to_be_safe_before_hub_or_disk_has_it(spool: Spool) -> None:
    read_only(spool)
    async with running(Intake(spool, clock=lambda: NOW)) as intake:
        with pytest.raises(Held) as held:
            await intake.put(Lane.URGENT, lamp(1))
        await asyncio.sleep(0)
        assert not held.value.safe.done()
        assert intake.waiting_in_memory == 1
        read_only(spool, False)
        await asyncio.wait_for(held.value.safe, 20)
        await eventually(lambda: not intake.failing)
    assert spooled(spool) == [1]


async def test_without_an_uplink_memory_goes_to_the_disk_in_order_before_anything_newer(spool: Spool) -> None:
    """A release that overtakes its press would be an alarm that nobody hears."""
    async with running(Intake(spool, clock=lambda: NOW)) as intake:
        await intake.put(Lane.URGENT, lamp(0))
        read_only(spool)
        for n in range(1, 300):
            with pytest.raises(Held):
                await intake.put(Lane.URGENT, lamp(n))
            if n == 200:
                read_only(spool, False)
                break
        n = 200
        while intake.failing:
            n += 1
            with contextlib.suppress(Held):
                await intake.put(Lane.URGENT, lamp(n))
            await asyncio.sleep(0)
        await intake.put(Lane.URGENT, lamp(n + 1))
    assert spooled(spool) == list(range(n + 2))
    assert intake.waiting_in_memory == 0


async def test_what_was_sent_from_memory_and_not_confirmed_is_written_too_and_its_stream_is_given_up(
    broker: OwnBroker, spool: Spool
) -> None:
    hub = FakeHub(deaf=True)
    read_only(spool)
    async with running(Intake(spool, clock=lambda: NOW)) as intake:
        before = intake.memory.spool.stream(Lane.URGENT)
        async with serving(hub, broker.as_user()), carrying(broker, intake):
            for n in range(3):
                with pytest.raises(Held):
                    await intake.put(Lane.URGENT, lamp(n))
            await eventually(lambda: len({seq for stream, seq in hub.seen if stream == before}) == 3)
            read_only(spool, False)
            await eventually(lambda: not intake.failing)
            assert spooled(spool) == [0, 1, 2]
            assert intake.memory.spool.stream(Lane.URGENT) != before
            hub.deaf = False
            await eventually(lambda: hub.values(Lane.URGENT) == [0, 1, 2])
            read_only(spool)  # and again, with numbers from 1 under a new name
            with pytest.raises(Held):
                await intake.put(Lane.URGENT, lamp(7))
            await eventually(lambda: hub.values(Lane.URGENT) == [0, 1, 2, 7])


async def test_a_disk_that_does_not_answer_holds_no_alarm(
    broker: OwnBroker, spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(intake_module, "HANG", 0.2)
    hub, go_on, append = FakeHub(), threading.Event(), spool.append

    def hang(*args: object) -> int:
        go_on.wait(60)
        return append(*args)  # type: ignore[arg-type]

    async with (
        running(Intake(spool, clock=lambda: NOW)) as intake,
        serving(hub, broker.as_user()),
        carrying(broker, intake),
    ):
        await intake.put(Lane.URGENT, lamp(0))
        await eventually(lambda: hub.values(Lane.URGENT) == [0])
        monkeypatch.setattr(spool, "append", hang)
        try:
            for n in (1, 2):
                with pytest.raises(Held):
                    await intake.put(Lane.URGENT, lamp(n))
            with pytest.raises(SpoolFailed):
                await intake.put(Lane.BULK, lamp(3))
            await eventually(lambda: hub.values(Lane.URGENT) == [0, 1, 2])
        finally:
            monkeypatch.setattr(spool, "append", append)
            go_on.set()
        await eventually(lambda: not intake.failing)
        await intake.put(Lane.URGENT, lamp(4))
        await eventually(lambda: hub.values(Lane.URGENT)[-1] == 4)


async def test_a_hub_that_forgot_the_stream_while_the_disk_takes_over_makes_nothing_vanish(
    spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(intake_module, "MOVE", 1)
    began, go_on, take_over = threading.Event(), threading.Event(), spool.take_over

    def slowly(*args: object) -> int:
        began.set()
        go_on.wait(60)
        return take_over(*args)  # type: ignore[arg-type]

    read_only(spool)
    async with running(Intake(spool, clock=lambda: NOW)) as intake:
        for n in range(4):
            with pytest.raises(Held):
                await intake.put(Lane.URGENT, lamp(n))
        memory = intake.memory
        await memory.confirm(Lane.URGENT, 1)
        leg = _Leg(Lane.URGENT, "up", {}, None, memory, intake)  # type: ignore[arg-type]
        monkeypatch.setattr(spool, "take_over", slowly)
        read_only(spool, False)
        try:
            await eventually(began.is_set)
            leg._anew = Confirmation(leg.stream, 9)
            await leg._tend(Window(1, 0.0))
        finally:
            go_on.set()
        await eventually(lambda: not intake.failing)
    assert spooled(spool) == [1, 2, 3]


async def test_a_disk_that_hangs_does_not_hang_the_beat_that_says_so(
    tmp_path: Path, broker: OwnBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(intake_module, "HANG", 0.5)
    monkeypatch.setattr(own_points, "ANSWER", 0.2)
    hub, go_on, hung = FakeHub(), threading.Event(), threading.Event()
    left = Spool.left

    def hang(self: Spool, lane: Lane) -> tuple[int, int | None]:
        hung.set()
        go_on.wait(60)
        return left(self, lane)

    async with serving(hub, broker.as_user()), site_running(document(broker.port), tmp_path):
        try:
            await eventually(lambda: hub.values(Lane.BULK, "disk") != [])
            monkeypatch.setattr(Spool, "left", hang)
            await eventually(hung.is_set)
            await eventually(lambda: True in hub.values(Lane.BULK, "disk"))
        finally:
            go_on.set()


async def test_damage_while_it_runs_costs_no_alarm_and_a_new_spool_is_opened(
    broker: OwnBroker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub = FakeHub()
    intake = Intake(None, clock=lambda: NOW, reopen=lambda: open_spool(tmp_path / "spool", lambda: NOW))
    await intake.begin()
    assert intake.disk is not None
    first = intake.disk

    def broken(*args: object) -> int:
        raise SpoolBroken("the spool is damaged: database disk image is malformed")

    async with running(intake), serving(hub, broker.as_user()), carrying(broker, intake):
        await intake.put(Lane.URGENT, lamp(1))
        await eventually(lambda: hub.values(Lane.URGENT) == [1])
        monkeypatch.setattr(first.spool, "append", broken)
        (tmp_path / "spool" / "spool.db").write_bytes(b"not a database" * 1000)
        with pytest.raises(Held):
            await intake.put(Lane.URGENT, lamp(2))
        await eventually(lambda: not intake.failing and intake.disk is not None)
        assert intake.disk is not first
        await intake.put(Lane.URGENT, lamp(3))
        await eventually(lambda: hub.values(Lane.URGENT)[-1] == 3)
    assert hub.values(Lane.URGENT) == [1, 2, 3]


async def test_memory_is_bounded_and_gives_up_the_oldest_declared_and_counted(spool: Spool) -> None:
    read_only(spool)
    intake = Intake(spool, clock=lambda: NOW)
    intake.memory.spool = memory_spool(lambda: NOW, dict.fromkeys(Lane, 20_000))
    async with running(intake):
        for _ in range(50):
            with pytest.raises(Held):
                await intake.put(Lane.URGENT, heavy(1))
        with pytest.raises(Held):
            await intake.put(Lane.URGENT, lamp(7))
        assert intake.given_up > 20
        assert intake.given_up + intake.waiting_in_memory == 51
        read_only(spool, False)
        await eventually(lambda: not intake.failing)
    ups = [decode_up(message.payload) for message in spool.unconfirmed(Lane.URGENT, 0, 1000)]
    assert {numbered.reject.code for up in ups for numbered in up.rejects} == {"dropped"}
    assert spooled(spool)[-1] == 7


class SmallDisk(Disk):
    """Real but for what it says is free."""

    def __init__(self, folder: Path, free: int) -> None:
        super().__init__(folder)
        self.free = free

    @property
    def room(self) -> int:
        return self.free


def test_bulk_leaves_the_last_of_the_disk_to_alarms_and_drops_its_oldest_for_that(spool: Spool, tmp_path: Path) -> None:
    spool.disk = disk = SmallDisk(tmp_path, 10**9)
    for n in range(30):
        spool.append(Lane.BULK, pack([Sample(LAMP, n, "x" * 900)]))
    disk.free = -1000
    spool.append(Lane.BULK, pack(lamp(1)))
    assert spool.depth(Lane.BULK).dropped > 0
    with pytest.raises(SpoolFailed, match="kept for alarms"):
        for _ in range(50):
            spool.append(Lane.BULK, pack(heavy(20)))
    assert spool.append(Lane.URGENT, pack(heavy(20))) == 1
    disk.free = 10**9
    spool.append(Lane.BULK, pack(heavy(20)))


def test_an_alarm_on_a_full_disk_is_written_in_the_room_of_the_reserve(spool: Spool) -> None:
    assert spool.disk is not None
    assert spool.disk.reserve > 0
    (pages,) = spool._db.execute("pragma page_count").fetchone()
    spool._db.execute(f"pragma max_page_count = {pages}")

    give_up = spool.disk.give_up_reserve

    def and_make_room() -> bool:
        make_room(spool)
        return give_up()

    spool.disk.give_up_reserve = and_make_room  # type: ignore[method-assign]
    with structlog.testing.capture_logs() as said:
        spool.append(Lane.URGENT, pack(heavy(100)))
    assert [line["event"] for line in said] == ["spool.reserve_given_up"]
    assert spool.disk.reserve == 0
    spool.disk.keep_reserve()
    assert spool.disk.reserve > 0


# the real thing ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path]:
    """A file system of 6 MB."""
    folder = tmp_path / "small"
    folder.mkdir()
    if os.geteuid() != 0 or subprocess.run(["mount", "-t", "tmpfs", "-o", "size=6m", "none", folder]).returncode:
        pytest.skip("only root may mount; RLIMIT_FSIZE and SQLite's own limits stand for it")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", folder], check=True)


async def test_on_a_file_system_that_others_fill_alarms_go_by_the_reserve_then_by_memory(
    small: Path, broker: OwnBroker
) -> None:
    hub = FakeHub()
    intake = Intake(None, clock=lambda: NOW, reopen=lambda: open_spool(small / "spool", lambda: NOW))
    await intake.begin()
    async with running(intake):
        await intake.put(Lane.BULK, heavy(100))
        ballast = (small / "ballast").open("wb", buffering=0)
        with contextlib.suppress(OSError):
            while True:
                ballast.write(b"x" * 4096)
        with structlog.testing.capture_logs() as said:
            sent = 0
            with pytest.raises(Held):
                while sent < 2000:
                    await intake.put(Lane.URGENT, [Sample(LAMP, sent, sent), *heavy(5)])
                    sent += 1
        events = [line["event"] for line in said]
        assert events.index("spool.reserve_given_up") < events.index("spool.takes_nothing")
        assert sent > 5  # these went into the reserve's room
        async with serving(hub, broker.as_user()), carrying(broker, intake):
            await eventually(lambda: sorted(numbers(hub)) == list(range(sent + 1)))
            ballast.truncate(0)
            ballast.close()
            await eventually(lambda: not intake.failing)
            await intake.put(Lane.URGENT, lamp(9999))
            await eventually(lambda: numbers(hub)[-1] == 9999)


def test_what_waits_on_a_disk_that_is_full_when_the_edge_starts_is_had_by_the_reserve(small: Path) -> None:
    with open_spool(small / "spool", lambda: NOW) as spool:
        spool.append(Lane.URGENT, pack(lamp(1)))
    with (small / "ballast").open("wb", buffering=0) as ballast, contextlib.suppress(OSError):
        while True:
            ballast.write(b"x" * 4096)
    with open_spool(small / "spool", lambda: NOW) as spool:
        assert spooled(spool) == [1]
        assert spool.confirm(Lane.URGENT, 1) == 1


async def test_a_spool_that_is_long_in_opening_blocks_no_loop_and_holds_no_alarm(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Half a gigabyte on a worn card takes longer to look through than the watchdog waits: it ended the edge at every start."""
    monkeypatch.setattr(intake_module, "HANG", 0.2)
    go_on = threading.Event()

    @contextlib.contextmanager
    def slowly() -> Iterator[Spool]:
        go_on.wait(60)
        with open_spool(tmp_path / "spool", lambda: NOW) as opened:
            yield opened

    intake = Intake(None, clock=lambda: NOW, reopen=slowly)
    await intake.begin()
    async with running(intake):
        try:
            with pytest.raises(Held) as held:
                await intake.put(Lane.URGENT, lamp(1))
        finally:
            go_on.set()
        await asyncio.wait_for(held.value.safe, 20)
        await eventually(lambda: not intake.failing)
        assert intake.disk is not None
        assert spooled(intake.disk.spool) == [1]


def numbers(hub: FakeHub) -> list[int]:
    return [value for value in hub.values(Lane.URGENT) if isinstance(value, int)]


def run_limited(tmp_path: Path, site: Path, port: int, broker: OwnBroker, most: int) -> "subprocess.Popen[str]":
    """`anxin edge` whose files cannot grow beyond `most` bytes: as an ordinary user may do, and as a broken disk does (EFBIG, an I/O error)."""
    document = bundle(port, broker.port)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, hard))
    try:
        return start(tmp_path, site, document)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@contextlib.contextmanager
def pressing(tmp_path: Path) -> Iterator[int]:
    """A lamp bus whose lamp-2 (urgent) speaks all the time; the port."""
    port = tmp_path / "port"
    command = [sys.executable, str(lampbus.DEVICE), "--ledger", str(tmp_path / "ledger"), "--port-file", str(port)]
    with subprocess.Popen([*command, "--rate", "50", "lamp-2"]) as process:
        deadline = threading.Event()
        while not port.exists() and not deadline.wait(0.02):
            assert process.poll() is None
        try:
            yield int(port.read_text())
        finally:
            process.terminate()


async def test_an_edge_whose_files_cannot_grow_any_more_still_carries_its_alarms(
    tmp_path: Path, broker: OwnBroker
) -> None:
    hub = FakeHub()
    site = lampbus.install(tmp_path / "site")
    ledger = tmp_path / "ledger"
    with pressing(tmp_path) as port:
        with run_limited(tmp_path, site, port, broker, 150_000) as edge:
            assert edge.stderr is not None
            said: list[str] = []
            reading = threading.Thread(target=lambda: said.extend(edge.stderr))  # type: ignore[arg-type]
            reading.start()
            await eventually(lambda: any("spool.takes_nothing" in line for line in said), deadline=60)
            async with serving(hub, broker.as_user()):
                reached = len(ledger.read_text().splitlines())
                await eventually(lambda: len(ledger.read_text().splitlines()) > reached + 50, deadline=60)
                safe = {int(line.split()[1]) for line in ledger.read_text().splitlines() if line.startswith("ok")}
                await eventually(lambda: safe <= set(hub.values(Lane.URGENT)), deadline=60)
                await eventually(lambda: "disk" in {s.series.point for s in hub.samples[Lane.BULK]}, deadline=60)
            edge.send_signal(signal.SIGTERM)
            assert edge.wait(20) in (0, -signal.SIGALRM)
            reading.join(20)
    assert safe


async def test_an_edge_whose_folder_has_become_read_only_starts_and_carries_its_alarms(
    tmp_path: Path, broker: OwnBroker
) -> None:
    hub = FakeHub()
    site = lampbus.install(tmp_path / "site")
    folder = tmp_path / "edge.spool"
    with open_spool(folder, lambda: NOW):
        pass
    with contextlib.ExitStack() as stack:
        if os.geteuid() == 0:
            bind = ["mount", "--bind", str(folder), str(folder)]
            if subprocess.run(bind).returncode != 0:
                pytest.skip("root may not mount here, and root may write everywhere")
            stack.callback(subprocess.run, ["umount", "-l", str(folder)], check=True)
            subprocess.run(["mount", "-o", "remount,ro,bind", str(folder)], check=True)
        else:
            for path in (*folder.iterdir(), folder):
                path.chmod(0o500 if path.is_dir() else 0o400)
            stack.callback(folder.chmod, 0o700)
        port = stack.enter_context(pressing(tmp_path))
        with start(tmp_path, site, bundle(port, broker.port)) as edge:
            async with serving(hub, broker.as_user()):
                await eventually(lambda: len(hub.values(Lane.URGENT)) > 20, deadline=60)
            edge.kill()
    assert "spool.db-wal" not in {path.name for path in folder.iterdir()}
