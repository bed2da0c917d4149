"""A driver that blocks the loop: it is said, it ends, and SIGTERM ends it sooner."""

import asyncio
import signal
import threading
from pathlib import Path

import structlog

from hub.edge.watchdog import SAID, Watchdog
from tests import lampbus
from tests.edge.test_process import bundle, start

NAP = 0.01


async def test_a_loop_that_is_blocked_is_said_with_the_place_and_ended() -> None:
    ended = threading.Event()
    codes: list[int] = []

    def end(code: int) -> None:
        codes.append(code)
        ended.set()

    dog = Watchdog(asyncio.get_running_loop(), limit=2 * SAID, end=end)
    thread = threading.Thread(target=dog.run, args=(NAP,))
    with structlog.testing.capture_logs() as said:
        thread.start()
        assert ended.wait(20)  # this blocks the loop, as a driver would
        thread.join()
    assert codes == [1]
    assert [line["event"] for line in said] == ["edge.loop_blocked", "edge.loop_blocked_for_good"]
    assert "test_a_loop_that_is_blocked" in said[0]["where"]


async def test_a_loop_that_answers_is_left_alone() -> None:
    naps = 0
    enough = asyncio.Event()

    class Counting(Watchdog):
        def _answer(self) -> None:
            nonlocal naps
            naps += 1
            super()._answer()
            if naps > 3 * SAID:
                enough.set()

    dog = Counting(asyncio.get_running_loop(), limit=200, end=lambda code: None)
    thread = threading.Thread(target=dog.run, args=(NAP,))
    thread.start()
    async with asyncio.timeout(20):
        await enough.wait()
    dog.stop()
    thread.join()
    assert dog._silent < 200


def test_sigterm_ends_an_edge_whose_driver_blocks_the_loop(tmp_path: Path) -> None:
    site = lampbus.install(tmp_path / "site")
    driver = site / "anxin_lampbus.py"
    source = driver.read_text()
    entering = "-> AsyncIterator[PushLink]:\n"
    assert entering in source
    blocks = (
        "        import sys, time\n        print('BLOCKED', file=sys.stderr, flush=True)\n        time.sleep(3600)\n"
    )
    driver.write_text(source.replace(entering, entering + blocks))
    with start(tmp_path, site, bundle(1, 1)) as edge:
        assert edge.stderr is not None
        while "BLOCKED" not in edge.stderr.readline():
            assert edge.poll() is None
        edge.send_signal(signal.SIGTERM)
        assert edge.wait(20) == -signal.SIGALRM
