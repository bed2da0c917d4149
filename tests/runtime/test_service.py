"""The composition root on an engine of its own, whose parts are killed."""

import asyncio
import os
import sys
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest
from pydantic import SecretStr

from hub.cli.centre import api_of
from hub.config import Settings
from hub.engine import Engine
from hub.engine.service import PartName
from hub.errors import BadInput
from hub.runtime.deliverer import Limits
from hub.runtime.service import YIELDS, Role, Service, make_room_for_what_blocks, steps_back
from hub.testing import eventually
from tests.clusters import put_cluster


@asynccontextmanager
async def own_engine(folder: Path) -> AsyncIterator[Engine]:
    await asyncio.to_thread(put_cluster, folder / "engine")
    async with Engine(folder / "engine", durable=False, environment={}) as engine:
        yield engine


def settings_of(engine: Engine) -> Settings:
    return Settings(
        database_url=SecretStr(engine.database_url),
        mqtt_url=SecretStr(engine.mqtt_url),
        mqtt_password_file=engine.password_file,
        api_port=0,
    )


def test_connections_that_hang_leave_room_for_our_own() -> None:
    works = threading.Event()

    async def crowded() -> bool:
        loop = asyncio.get_running_loop()
        make_room_for_what_blocks(loop)
        hanging = [loop.run_in_executor(None, works.wait) for _ in range(Limits().slots)]
        try:
            async with asyncio.timeout(20):
                return await asyncio.to_thread(lambda: True)
        finally:
            works.set()
            await asyncio.wait(hanging)

    assert asyncio.run(crowded())


@pytest.mark.timeout(120)
async def test_the_centre_survives_the_kill_of_its_database_and_of_its_broker(tmp_path: Path) -> None:
    async with own_engine(tmp_path) as engine:
        service = Service(settings_of(engine), frozenset(Role), None)
        running = asyncio.create_task(service.run(api_of(str(tmp_path / "port"))))

        async def ready() -> bool:
            if running.done():
                running.result()
            port = (tmp_path / "port").read_text() if (tmp_path / "port").exists() else ""
            if not port:
                return False
            async with httpx.AsyncClient() as http:
                return (await http.get(f"http://127.0.0.1:{port}/readyz")).status_code == 200

        def came_back(part: PartName, times: int) -> Callable[[], bool]:
            return lambda: engine.now.restarts.get(part, 0) == times

        try:
            await eventually(ready, 30)
            parts: tuple[PartName, ...] = ("postgres", "mosquitto", "postgres")
            for n, part in enumerate(parts):
                engine.kill(part)
                again = 1 + parts[:n].count(part)
                await eventually(came_back(part, again))
                await eventually(ready, 30)
            assert not running.done()
        finally:
            running.cancel()
            await asyncio.wait({running})


@pytest.mark.timeout(120)
async def test_a_second_centre_on_the_same_partitions_is_refused_and_one_on_others_is_not(tmp_path: Path) -> None:
    async with own_engine(tmp_path) as engine:
        first = Service(settings_of(engine), frozenset({Role.INGEST}), [0, 1])
        running = asyncio.create_task(first.run(api_of("")))
        try:
            await eventually(lambda: first.partitions is not None and first.partitions.ready, 30)
            asked = ("1,2", "9")  # the first waits ten seconds for whoever may be going
            (code, words), beyond = await asyncio.gather(*(_serve(engine, "--partitions", one) for one in asked))
            assert code == 3
            assert "partition 1 is owned by another 'anxin serve'" in words
            code, words = beyond
            assert code == 2
            assert "--partitions: partition 9: this hub has 0 to 7" in words
            other = Service(settings_of(engine), frozenset({Role.INGEST}), [2])
            beside = asyncio.create_task(other.run(api_of("")))
            try:
                await eventually(lambda: other.partitions is not None and other.partitions.ready, 30)
            finally:
                beside.cancel()
                await asyncio.wait({beside})
        finally:
            running.cancel()
            await asyncio.wait({running})


async def _serve(engine: Engine, *arguments: str) -> tuple[int | None, str]:
    process = await asyncio.create_subprocess_exec(
        str(Path(sys.executable).with_name("anxin")),
        *("serve", "--role", "ingest", *arguments),
        env={**os.environ, "ANXIN_DATABASE_URL": engine.database_url, "ANXIN_MQTT_URL": engine.mqtt_url},
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(60):
        _, words = await process.communicate()
    return process.returncode, words.decode()


async def test_a_side_task_that_dies_ends_the_centre_loudly(tmp_path: Path) -> None:
    async with own_engine(tmp_path) as engine:

        async def broken(_: Service) -> None:
            raise BadInput("it is broken", "the API")

        service = Service(settings_of(engine), frozenset({Role.API, Role.PAGING}), None)
        with pytest.raises(ExceptionGroup) as ended:
            async with asyncio.timeout(30):
                await service.run(broken)
        assert "it is broken" in repr(ended.value.exceptions)


@pytest.mark.parametrize(
    ("variables", "named"),
    [
        ({}, "ANXIN_DATABASE_URL"),
        ({"ANXIN_API_PORT": "many"}, "ANXIN_API_PORT"),
        ({"ANXIN_LOG_LEVEL": "loud"}, "ANXIN_LOG_LEVEL"),
    ],
)
async def test_a_wrong_setting_is_named_and_nothing_starts(variables: dict[str, str], named: str) -> None:
    given = {"ANXIN_DATABASE_URL": "postgresql://x", "ANXIN_MQTT_URL": "mqtt://x"} | variables if variables else {}
    process = await asyncio.create_subprocess_exec(
        str(Path(sys.executable).with_name("anxin")),
        "serve",
        env={"PATH": os.environ["PATH"], **given},
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(30):
        _, words = await process.communicate()
    assert process.returncode == 2
    assert named in words.decode()


def test_a_wrong_rule_stops_who_judges_and_neither_ingest_nor_paging(tmp_path: Path) -> None:
    (tmp_path / "wrong.yaml").write_text("pack: 7\n")
    settings = Settings(database_url=SecretStr("x"), mqtt_url=SecretStr("x"), rule_packs=(tmp_path,))
    assert Service(settings, frozenset({Role.INGEST, Role.PAGING, Role.AUDITOR}), None).packs == ()
    for role in (Role.COVERAGE, Role.API):
        with pytest.raises(BadInput, match=r"wrong\.yaml"):
            Service(settings, frozenset({Role.INGEST, role}), None)


async def test_a_process_that_only_judges_coverage_steps_back_and_one_that_pages_does_not(
    database: str, mqtt_url: str
) -> None:
    def nice(pid: int) -> int:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[16])

    process = await asyncio.create_subprocess_exec(
        str(Path(sys.executable).with_name("anxin")),
        *("serve", "--role", "coverage", "--no-migrate"),
        env={**os.environ, "ANXIN_DATABASE_URL": database, "ANXIN_MQTT_URL": mqtt_url},
    )
    try:
        await eventually(lambda: nice(process.pid) == min(nice(os.getpid()) + YIELDS, 19), 60)
    finally:
        process.terminate()
        await process.wait()
    assert steps_back({Role.COVERAGE, Role.API})
    assert not any(steps_back({Role.COVERAGE, role}) for role in (Role.INGEST, Role.PAGING, Role.AUDITOR))
    assert not steps_back({Role.PAGING})
