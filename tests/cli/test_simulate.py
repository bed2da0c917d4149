"""`anxin simulate` as a process: endpoints that answer, a manifest that fits, a ledger, presses on demand, an end in order."""

import asyncio
import json
import os
import shlex
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import yaml

from hub.bundle import BundleEndpoint, read_bundle
from hub.config import data_folder
from hub.driver import PollLink
from hub.manifest import Manifest
from hub.profiles import load_profiles
from hub.runtime.drivers import LinkPlan, plan_links
from hub.runtime.replay import bundled
from hub.testing import eventually
from tests.cli.conftest import Command

PROFILES = load_profiles([data_folder("device-profiles")])
ANXIN = [sys.executable, "-c", "from hub.cli.main import main; main()", "simulate"]


@asynccontextmanager
async def simulating(*options: str) -> AsyncIterator[asyncio.subprocess.Process]:
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(*ANXIN, *options, stdin=pipe, stdout=pipe, stderr=pipe)
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def said_until(process: asyncio.subprocess.Process, words: str) -> list[str]:
    assert process.stdout is not None
    lines: list[str] = []
    async with asyncio.timeout(60):
        while not lines or words not in lines[-1]:
            line = await process.stdout.readline()
            assert line, (lines, process.stderr and await process.stderr.read())
            lines.append(line.decode().rstrip())
    return lines


async def tell(process: asyncio.subprocess.Process, command: str) -> str:
    assert process.stdin is not None
    process.stdin.write(f"{command}\n".encode())
    return (await said_until(process, ""))[-1]


async def test_two_sites_are_played_until_sigterm_and_a_manifest_fits_them(tmp_path: Path) -> None:
    manifest, ledger = tmp_path / "sites.yaml", tmp_path / "ledger"
    options = ["--sites", "2", "--seed", "3", "--manifest", str(manifest), "--ledger", str(ledger), "--every", "0.2"]
    async with simulating("adam-6050-button", "rfc1628-ups", *options) as process:
        lines = await said_until(process, "devices are there")
        assert lines[-1] == "4 devices are there"
        assert max(len(line) for line in lines if str(tmp_path) not in line) <= 80
        secrets = tmp_path / "sites.env"
        assert secrets.stat().st_mode & 0o777 == 0o600
        values = dict(line.removeprefix("export ").split("=", 1) for line in secrets.read_text().splitlines())
        text = manifest.read_text("utf-8")
        assert not any(value in text for value in values.values())
        for name, value in values.items():
            text = text.replace(f"${{env:{name}}}", value)
        declared = Manifest.model_validate(yaml.safe_load(text))
        assert [site.id for site in declared.institutions] == ["sim-001", "sim-002"]
        for site in declared.institutions:
            for device, endpoint in zip(site.devices, site.endpoints, strict=True):
                assert device.endpoint == endpoint.id
                profile = PROFILES[device.profile]
                behind = bundled(device.id, profile, device.settings)
                bundle = BundleEndpoint(
                    id=endpoint.id, driver=endpoint.driver, settings=endpoint.settings, devices=(behind,)
                )
                (plan,) = plan_links([bundle], "test")
                async with plan.driver.connect(plan.endpoint, plan.bindings) as link:
                    assert isinstance(link, PollLink)
                    samples = await link.read([one.series for one in plan.bindings])
                assert [sample.error for sample in samples] == [None] * len(profile.points)

        assert (await tell(process, "raise sim-009-door forced_open")).startswith("sim-009-door: no such device")
        assert await tell(process, "raise sim-001-adam-6050-button panic") == "ok: raise sim-001-adam-6050-button panic"
        noted = [json.loads(line) for line in ledger.read_text().splitlines()]
        assert any(line.get("alarm") == "panic" and line["values"] == {"press": True} for line in noted)
        assert await tell(process, "clear sim-001-adam-6050-button panic") == "ok: clear sim-001-adam-6050-button panic"
        assert "there are: panic" in await tell(process, "raise sim-001-adam-6050-button fire")
        assert "list" in await tell(process, "jump")

        process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(20):
            assert await process.wait() == 0
        assert process.stderr is not None
        assert await process.stderr.read() == b""
    noted = [json.loads(line) for line in ledger.read_text().splitlines()]
    assert [line["n"] for line in noted] == list(range(1, len(noted) + 1))


async def test_a_ledger_is_gone_on_with_and_ptys_are_gone_afterwards(tmp_path: Path) -> None:
    ledger = tmp_path / "ledger"
    ledger.write_text('{"n": 1}\n')
    async with simulating(
        "adam-6050-button", "--over", "pty", "--folder", str(tmp_path), "--ledger", str(ledger)
    ) as process:
        await said_until(process, "devices are there")
        assert (tmp_path / "sim-001-adam-6050-button").is_symlink()
        assert json.loads(ledger.read_text().splitlines()[1])["n"] == 2
        process.send_signal(signal.SIGINT)
        async with asyncio.timeout(20):
            assert await process.wait() == 0
    await eventually(lambda: not os.path.lexists(tmp_path / "sim-001-adam-6050-button"))


async def test_what_cannot_be_played_ends_with_code_2_and_says_why() -> None:
    for options, said in (
        (("no-such-profile",), "no profile 'no-such-profile'"),
        (("anxin-edge",), "anxin edge"),
        (("rfc1628-ups", "--faults", "noise"), "--faults: 'noise'"),
        (("rfc1628-ups", "--over", "air"), "--over"),
        (("heiman-hs1sa",), "need a broker"),
        (("heiman-hs1sa", "--broker", "mqtt://x:hidden@"), "the address of a broker"),
    ):
        async with simulating(*options) as process:
            async with asyncio.timeout(60):
                _, error = await process.communicate()
            assert process.returncode == 2, error
            assert said in error.decode()
            assert "hidden" not in error.decode()


async def test_a_broker_that_refuses_what_a_device_says_ends_it_at_once_and_is_named(mqtt_url: str) -> None:
    """A device whose messages nobody ever takes would look like one that says nothing."""
    refusing = f"mqtt://nobody:hidden@{mqtt_url.rpartition('@')[2]}"
    async with simulating("heiman-hs1sa", "--broker", refusing) as process:
        async with asyncio.timeout(60):
            _, error = await process.communicate()
    assert process.returncode == 2, error
    assert "refused by the broker" in error.decode()
    assert "hidden" not in error.decode()


def test_simulated_sites_are_applied_and_an_edges_bundle_reaches_every_device_of_its_site(
    ctl: Command, tmp_path: Path, mqtt_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    manifest, bundle = tmp_path / "sites.yaml", tmp_path / "edge.json"
    profiles = (
        "adam-6050-door",
        "rfc1628-ups",
        "heiman-hs1sa",
        "tuya-ts0215a-sos",
        "gb26875-transmitter",
        "ascii-line-door",
    )
    options = ("--sites", "2", "--every", "0.2", "--manifest", str(manifest))
    environment = {**os.environ, "ANXIN_SIMULATE_BROKER": mqtt_url}
    process = subprocess.Popen(
        [*ANXIN, *profiles, *options], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, env=environment, text=True
    )
    try:
        assert process.stdout is not None
        while "devices are there" not in process.stdout.readline():
            assert process.poll() is None
        for line in (tmp_path / "sites.env").read_text().splitlines():
            name, value = shlex.split(line.removeprefix("export "))[0].split("=", 1)
            monkeypatch.setenv(name, value)
        applied = ctl("apply", "-f", manifest, "--yes")
        assert applied.code == 0, applied.err
        written = ctl("bundle", "sim-002-edge", "-o", bundle)
        assert written.code == 0, written.err
        plans = plan_links(read_bundle(bundle).endpoints, str(bundle))
        assert {binding.series.device for plan in plans for binding in plan.bindings} == {
            f"sim-002-{name}" for name in profiles
        }
        for plan in plans:
            assert asyncio.run(first_values(plan)) == {binding.series.device for binding in plan.bindings}
    finally:
        process.terminate()
        process.communicate(timeout=20)
    assert process.returncode == 0


async def first_values(plan: LinkPlan) -> set[str]:
    """The devices behind an endpoint that gave a value."""
    wanted = {binding.series.device for binding in plan.bindings}
    heard: set[str] = set()
    async with asyncio.timeout(60), plan.driver.connect(plan.endpoint, plan.bindings) as link:
        if isinstance(link, PollLink):
            samples = await link.read([one.series for one in plan.bindings])
            return {one.series.device for one in samples if one.error is None}
        async for delivery in link.deliveries():
            heard |= {one.series.device for one in delivery.samples if one.error is None}
            await delivery.settle()
            if heard == wanted:
                break
    return heard
