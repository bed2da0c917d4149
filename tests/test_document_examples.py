"""The examples of CONTRIBUTING.md work as they stand there: the driver, the profile, the rule."""

import asyncio
import types
from pathlib import Path
from typing import Any

import pytest
import yaml

from hub.driver import Binding, PollLink
from hub.errors import LinkDown, ProtocolFault
from hub.model import Series
from hub.profiles import parse_profile
from hub.rulepack_fixtures import failures, load_fixtures
from hub.rulepacks import parse_rule_pack
from hub.testing import eventually
from tests.pages import blocks


def example_driver() -> Any:
    module = types.ModuleType("anxin_thermo")
    exec(compile(blocks("CONTRIBUTING.md", "python")[0], "CONTRIBUTING.md", "exec"), module.__dict__)
    return module.driver


async def test_the_driver_of_the_example_reads_says_what_it_cannot_read_and_when_its_peer_has_gone() -> None:
    driver = example_driver()
    answers = {b"t1?\n": b"21.5\n", b"t2?\n": b"?\n", b"t3?\n": b"hot\n"}
    served: list[asyncio.StreamWriter] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        served.append(writer)
        while line := await reader.readline():
            writer.write(answers.get(line, b""))
            if line not in answers:
                break
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        endpoint = driver.Endpoint(host="127.0.0.1", port=server.sockets[0].getsockname()[1])
        series = [Series("thermo-1", name) for name in ("t1", "t2", "t3", "gone")]
        bindings = [Binding(one, driver.Device(), driver.Address(sensor=one.point), "float") for one in series]
        async with driver.connect(endpoint, bindings) as link:
            assert isinstance(link, PollLink)
            good, missing = await link.read(series[:2])
            assert (good.raw, good.error, missing.raw, missing.error) == (21.5, None, None, "no such sensor")
            with pytest.raises(ProtocolFault, match="not a number"):
                await link.read(series[2:3])
            with pytest.raises(LinkDown):
                await link.read(series[3:])
        await eventually(lambda: all(writer.is_closing() for writer in served))
    with pytest.raises(LinkDown):
        async with driver.connect(endpoint, bindings):
            pass


def test_the_profile_of_the_example_holds_and_its_driver_takes_its_addresses() -> None:
    profile = parse_profile(yaml.safe_load(blocks("CONTRIBUTING.md", "yaml")[0]), "CONTRIBUTING.md")
    driver = example_driver()
    assert profile.driver == driver.name
    for point in profile.points.values():
        driver.Address.model_validate(point.address)


def test_the_rule_of_the_example_passes_and_fails_where_its_fixtures_say_so(tmp_path: Path) -> None:
    _, pack, fixtures = blocks("CONTRIBUTING.md", "yaml")
    (tmp_path / "fixtures").mkdir()
    (tmp_path / "fixtures" / "example-smoke.yaml").write_text(fixtures, "utf-8")
    assert failures([parse_rule_pack(yaml.safe_load(pack), "CONTRIBUTING.md")], load_fixtures([tmp_path])) == []
