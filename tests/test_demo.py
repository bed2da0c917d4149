"""The demo as a user runs it: one process that plays the scenario, tells the truth, and leaves nothing behind."""

import asyncio
import json
import os
import signal
import stat
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from hub.demo.city import City, StepFailed
from hub.demo.scenario import CHAPTERS, Step, play, report
from hub.testing import eventually

ANXIN = str(Path(sys.executable).with_name("anxin"))


def descendants(marker: str) -> list[str]:
    """The command lines of all processes that carry `marker` in their environment."""
    return [line for _, line in processes(marker)]


def processes(marker: str) -> list[tuple[int, str]]:
    """Process id and command line of all processes that carry `marker` in their environment."""
    found: list[tuple[int, str]] = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                if marker.encode() in (entry / "environ").read_bytes():
                    line = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
                    found.append((int(entry.name), line))
            except OSError:
                continue
    return [(pid, line) for pid, line in found if line]


@pytest.fixture(autouse=True)
def _own_scratch(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What a killed demo cannot remove is removed here; the path is short, for the sockets in it."""
    with tempfile.TemporaryDirectory(prefix="ax-", ignore_cleanup_errors=True) as folder:
        monkeypatch.setenv("TMPDIR", folder)
        yield


async def start(marker: str, *arguments: str, keys: int = asyncio.subprocess.DEVNULL) -> asyncio.subprocess.Process:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("ANXIN_")}
    for name in ("ANXIN_ENGINE_HOME",):
        if name in os.environ:
            environment[name] = os.environ[name]
    return await asyncio.create_subprocess_exec(
        ANXIN,
        "demo",
        *arguments,
        env=environment | {"DEMO_TEST_MARKER": marker},
        stdin=keys,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )


@pytest.mark.timeout(300)
async def test_the_scenario_holds_step_by_step_and_leaves_no_process_behind(
    tmp_path: Path, engine_prefix: object
) -> None:
    marker = f"once-{tmp_path}"
    process = await start(marker, "--once", "--json", str(tmp_path / "report.json"))
    async with asyncio.timeout(240):
        words, _ = await process.communicate()
    assert process.returncode == 0, words.decode()[-3000:]
    assert descendants(marker) == []
    said = json.loads((tmp_path / "report.json").read_text())
    assert said["ok"] is True
    assert [step["name"] for step in said["steps"]] == [name for name, _ in CHAPTERS]
    assert all(set(step) == {"name", "ok", "seconds", "detail"} for step in said["steps"])


@pytest.mark.timeout(180)
async def test_it_stays_up_tells_a_program_where_it_is_and_ends_with_ctrl_c(
    tmp_path: Path, engine_prefix: object
) -> None:
    marker, place = f"stay-{tmp_path}", tmp_path / "where.json"
    process = await start(marker, "--json", str(place), "--port", "0", keys=asyncio.subprocess.PIPE)
    try:
        await eventually(lambda: place.exists() or process.returncode is not None, 120, 0.1)
        assert process.stdin is not None
        process.stdin.write(b"p\n")
        where: dict[str, str] = json.loads(place.read_text())
        assert set(where) == {"api", "console", "token", "mqtt", "database"}
        assert stat.S_IMODE(place.stat().st_mode) == 0o600
        headers = {"authorization": f"Bearer {where['token']}"}

        async def paged() -> bool:
            async with httpx.AsyncClient(headers=headers) as http:
                alarms = (await http.get(f"{where['api']}/api/v1/alarms")).json()["items"]
                found = [alarm for alarm in alarms if alarm["definition"] == "panic"]
                if not found:
                    return False
                detail = (await http.get(f"{where['api']}/api/v1/alarms/{found[0]['id']}")).json()
            return any(row["state"] == "sent" for row in detail["notifications"])

        await eventually(paged, 20, 0.1)
    finally:
        process.send_signal(signal.SIGINT)
        async with asyncio.timeout(60):
            words, _ = await process.communicate()
    assert process.returncode == 0, words.decode()[-2000:]
    assert where["token"] in words.decode()
    assert "Traceback" not in words.decode()
    assert "webhook: alarm.raised" in words.decode()
    assert descendants(marker) == []


@pytest.mark.timeout(120)
async def test_a_demo_that_is_killed_takes_everything_with_it(tmp_path: Path, engine_prefix: object) -> None:
    marker = f"killed-{tmp_path}"
    process = await start(marker, "--once")
    assert process.stdout is not None
    async with asyncio.timeout(90):
        while b"provision" not in (line := await process.stdout.readline()):
            assert line, "the demo ended by itself"
    process.kill()
    await process.wait()
    await eventually(lambda: descendants(marker) == [], 20, 0.1)


@pytest.mark.timeout(180)
async def test_when_the_centre_dies_under_it_the_demo_ends_and_says_so_in_one_line(
    tmp_path: Path, engine_prefix: object
) -> None:
    marker, place = f"dead-{tmp_path}", tmp_path / "where.json"
    process = await start(marker, "--json", str(place), "--port", "0")
    await eventually(lambda: place.exists() or process.returncode is not None, 120, 0.1)
    centre = [pid for pid, line in processes(marker) if line.rstrip().endswith("serve")]
    assert len(centre) == 1
    os.kill(centre[0], signal.SIGKILL)
    async with asyncio.timeout(60):
        words, _ = await process.communicate()
    assert process.returncode == 2
    assert "anxin demo: anxin serve has ended" in words.decode()
    assert "Traceback" not in words.decode()
    assert descendants(marker) == []


async def test_a_report_is_well_only_when_every_chapter_was_played_and_held() -> None:
    held = [Step(name, True, 0.1, "") for name, _ in CHAPTERS]
    assert report(held)["ok"] is True
    assert report(held[:-1])["ok"] is False
    assert report([*held[:-1], Step("8 kill -9", False, 0.1, "lost")])["ok"] is False


async def test_after_a_step_that_failed_the_rest_is_not_tried() -> None:
    async def well(city: City) -> str:
        return "well"

    async def bad(city: City) -> str:
        raise StepFailed("it did not hold")

    said: list[str] = []
    nobody: Any = None
    steps = await play(nobody, said.append, [("1", well), ("2", bad), ("3", well)])
    assert [(step.name, step.ok) for step in steps] == [("1", True), ("2", False)]
    assert "it did not hold" in said[1]
