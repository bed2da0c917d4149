"""The production files, as far as they can be proven without a docker engine: schema, paths, commands, the broker's script, the wheel."""

import json
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.main import get_command

from hub.cli.main import app
from hub.config import Settings, load_settings
from hub.engine import Prefix, mosquitto_hash, read_passwords, write_passwords
from hub.engine.mosquitto import ACL, configuration
from hub.errors import BadInput, DriverError
from hub.mqtt import parse_broker, session
from hub.rulepacks import NOT_PACKS
from hub.testing import eventually, wait_until
from tests.ports import free_port

TREE = Path(__file__).parent.parent
COMPOSE: dict[str, Any] = yaml.safe_load((TREE / "docker-compose.yml").read_text("utf-8"))
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
INGEST = ("hub", "hub-odd")
OURS = (*INGEST, "paging", "coverage", "api")
DOCKERFILE = (TREE / "Dockerfile").read_text("utf-8")


def test_the_compose_file_follows_the_specification() -> None:
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec"]
    done = subprocess.run([*command, str(TREE / "docker-compose.yml")], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("name", SERVICES)
def test_every_service_is_hardened_and_comes_back(name: str) -> None:
    service = SERVICES[name]
    assert service["init"] is True
    assert service["read_only"] is True
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["restart"] in ("unless-stopped", "on-failure:5")
    assert "healthcheck" in service
    assert service["healthcheck"].get("disable") is not True or name == "migrate", "what ends has no health"
    assert service["logging"]["options"].keys() == {"max-size", "max-file"}, "logs end somewhere"
    limits = service["deploy"]["resources"]["limits"]
    assert limits.keys() == {"cpus", "memory", "pids"}
    assert re.fullmatch(r"\d+[mg]|\$\{[A-Z_]+:-\d+[mg]\}", limits["memory"])
    if "image" in service and "build" not in service:
        tag = service["image"].partition(":")[2]
        assert re.match(r"\d+\.\d+\.\d+", tag), f"{name}: an exact release, not {tag!r}"


@pytest.mark.parametrize("name", [name for name, service in SERVICES.items() if "ports" in service])
def test_ports_are_published_on_loopback_unless_a_variable_says_otherwise(name: str) -> None:
    for port in SERVICES[name]["ports"]:
        assert re.match(r"(127\.0\.0\.1|\$\{ANXIN_DEVICE_BIND:-127\.0\.0\.1\}):", port), port


def test_no_service_but_those_with_ports_or_messages_to_send_leaves_the_inner_network() -> None:
    assert COMPOSE["networks"]["inside"] == {"internal": True}
    assert {name for name, service in SERVICES.items() if "outside" in service["networks"]} == {
        "mosquitto", "paging", "api", "grafana", "auditor",
    }  # fmt: skip


def test_grafana_lets_nobody_into_the_organisation_that_sees_everything_and_asks_nobody_outside() -> None:
    environment = SERVICES["grafana"]["environment"]
    assert environment["GF_AUTH_ANONYMOUS_ENABLED"] == environment["GF_USERS_AUTO_ASSIGN_ORG"] == "false"
    assert environment["GF_USERS_ALLOW_SIGN_UP"] == environment["GF_PUBLIC_DASHBOARDS_ENABLED"] == "false"
    assert environment["GF_SNAPSHOTS_EXTERNAL_ENABLED"] == environment["GF_NEWS_NEWS_FEED_ENABLED"] == "false"
    assert environment["GF_SECURITY_DISABLE_GRAVATAR"] == "true"


def test_what_does_not_belong_to_a_service_is_not_mounted_into_it() -> None:
    """Grafana knows no address of the hub's own user, the hub knows no password of Grafana's administrator."""
    knows = {name: set(service.get("secrets", ())) for name, service in SERVICES.items()}
    assert {name for name, secrets in knows.items() if "grafana_admin_password" in secrets} == {"grafana", "migrate"}
    assert {name for name, secrets in knows.items() if "database_password" in secrets} == {"timescaledb"}
    assert knows["grafana"] == {"grafana_admin_password", "grafana_database_password"}


def test_all_that_is_named_exists() -> None:
    for name, service in SERVICES.items():
        for volume in service.get("volumes", ()):
            source = volume.split(":")[0]
            if source.startswith("."):
                assert (TREE / source).exists(), f"{name}: {source}"
            else:
                assert source in COMPOSE["volumes"], f"{name}: {source}"
        assert set(service.get("secrets", ())) <= set(COMPOSE["secrets"]), name
        assert set(service.get("depends_on", ())) <= set(SERVICES), name
        assert set(service["networks"]) <= set(COMPOSE["networks"]), name
    assert not set(COMPOSE["secrets"]) - {s for v in SERVICES.values() for s in v.get("secrets", ())}


def test_the_commands_of_our_services_parse() -> None:
    lines = [SERVICES[name]["command"] for name in OURS]
    (script,) = SERVICES["migrate"]["command"]
    lines += [shlex.split(line)[1:] for line in script.splitlines()]
    for line in lines:
        command: Any = get_command(app)
        rest = list(line)
        while hasattr(command, "commands"):
            command = command.commands[rest.pop(0)]
        command.make_context("anxin", rest)  # raises for an unknown or missing option


def test_ingest_paging_coverage_and_api_are_all_served_and_only_once() -> None:
    def roles(name: str) -> set[str]:
        line = SERVICES[name]["command"]
        return {line[at + 1] for at, word in enumerate(line) if word == "--role"}

    for name in INGEST:
        assert roles(name) == {"ingest", "api"}
    assert roles("paging") == {"paging", "api"}
    assert roles("coverage") == {"coverage", "api"}
    assert roles("api") == {"api"}
    assert roles("auditor") == {"auditor"}
    for name in (*INGEST, "paging", "coverage"):
        assert "ports" not in SERVICES[name], (
            "the API of these is for their health checks, for metrics and for the standby"
        )
    assert SERVICES["api"]["environment"]["ANXIN_STANDBY_URL"] == "http://paging:8443"
    watched = json.loads(SERVICES["auditor"]["environment"]["ANXIN_WATCH"])
    assert watched == [f"http://{name}:8443/readyz" for name in OURS]


def test_every_partition_of_a_new_hub_is_owned_by_one_process() -> None:
    lines = [SERVICES[name]["command"] for name in INGEST]
    owned = [int(number) for line in lines for number in line[line.index("--partitions") + 1].split(",")]
    first = (TREE / "hub/store/migrations/versions/0001_spine.sql").read_text("utf-8")
    found = re.search(r"insert into hub_setting values \('partitions', '(\d+)'\)", first)
    assert found is not None
    assert sorted(owned) == [*range(int(found[1]))]


@pytest.mark.parametrize("name", [*OURS, "migrate"])
def test_the_environment_of_our_services_makes_settings(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    subprocess.run([str(TREE / "deploy/new-secrets"), str(tmp_path)], check=True, capture_output=True)
    wanted = {secret for secret in SERVICES[name]["secrets"] if secret.startswith("anxin_")}
    for path in tmp_path.iterdir():
        if path.name not in wanted:
            path.unlink()
    for key in [key for key in os.environ if key.startswith("ANXIN_")]:
        monkeypatch.delenv(key)
    names = {f"ANXIN_{field.upper()}" for field in Settings.model_fields} | {"ANXIN_SECRETS_DIR"}
    for key, value in SERVICES[name]["environment"].items():
        assert key in names, f"{key} is no setting"
        assert key.lower() not in wanted, f"{key} would win over the secret"
        monkeypatch.setenv(key, re.sub(r"\$\{[A-Z_]+:-([^}]*)\}", r"\1", value))
    monkeypatch.setenv("ANXIN_SECRETS_DIR", str(tmp_path))
    settings = load_settings()
    assert settings.database_url.get_secret_value().endswith("@timescaledb:5432/anxin")
    broker = parse_broker(settings.mqtt_url.get_secret_value())
    assert (broker.host, broker.port) == ("mosquitto", 1884)
    knows = name in {*INGEST, "paging"}
    assert (broker.username == "hub") == knows, "only who ingests and who stands by knows the broker's password"


GIVEN = {
    "database_url": "a secret", "mqtt_url": "a secret", "ledger_key": "a secret", "channel_keys": "a secret",
    "allow_loopback": "of the demo and the tests alone",
    **dict.fromkeys(("api_host", "api_port", "mqtt_password_file", "data", "standby_url", "canary_sink_url", "watch"), "how these services find each other"),
}  # fmt: skip
"""settings that whoever runs the containers does not choose, and why"""


@pytest.mark.parametrize("field", [name for name in Settings.model_fields if name not in GIVEN])
def test_every_setting_can_be_chosen_from_outside_and_is_otherwise_what_the_hub_itself_takes(field: str) -> None:
    key = f"ANXIN_{field.upper()}"
    readers = ("auditor",) if field in ("heartbeat_url", "canary_seconds") else (*OURS, "auditor", "migrate")
    for name in readers:
        said = re.fullmatch(r"\$\{" + key + r":-(.*)\}", SERVICES[name]["environment"].get(key, ""))
        assert said is not None, f"{name} is not told {key}"
        own = Settings.model_fields[field].get_default()
        if field == "report_font":
            assert f"ENV {key}={said[1]}" in DOCKERFILE, "the image's own font"
        elif isinstance(own, tuple):
            assert json.loads(said[1]) == list(own)
        else:
            assert said[1] == ("" if own is None else f"{own:g}" if isinstance(own, float) else str(own))


def test_a_secret_setting_reaches_who_reads_it() -> None:
    readers = {
        "database_url": (*OURS, "migrate", "auditor"),
        "mqtt_url": (*INGEST, "paging", "auditor"),
        "ledger_key": ("coverage",),
        "channel_keys": (*OURS, "migrate", "auditor"),
    }
    assert set(readers) == {name for name, why in GIVEN.items() if why == "a secret"}
    for field, names in readers.items():
        assert all(f"anxin_{field}" in SERVICES[name]["secrets"] for name in names), field


def test_files_of_ones_own_are_seen_by_every_service_that_reads_them() -> None:
    for name in (*OURS, "auditor", "migrate"):
        assert "./deploy/own:/etc/anxin/own:ro" in SERVICES[name]["volumes"], name


def test_a_folder_of_secrets_that_is_not_there_is_an_error_that_names_its_variable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANXIN_SECRETS_DIR", str(tmp_path / "none"))
    with pytest.raises(BadInput, match="ANXIN_SECRETS_DIR"):
        load_settings()


def test_new_secrets_makes_every_secret_of_the_compose_file_once(tmp_path: Path) -> None:
    folder = tmp_path / "secrets"
    script = str(TREE / "deploy/new-secrets")
    subprocess.run([script, str(folder)], check=True, capture_output=True)
    made = {path.name: path.read_text() for path in folder.iterdir()}
    assert set(made) == {Path(secret["file"]).name for secret in COMPOSE["secrets"].values()} == set(COMPOSE["secrets"])
    assert folder.stat().st_mode & 0o777 == 0o700
    assert all(len(text) >= 44 and text == text.strip() for text in made.values())
    subprocess.run([script, str(folder)], check=True, capture_output=True)
    assert {path.name: path.read_text() for path in folder.iterdir()} == made, "what exists stays"


def test_the_brokers_files_are_the_engines_own_text() -> None:
    folder = TREE / "deploy/mosquitto"
    assert (folder / "acl").read_text() == ACL
    assert (folder / "mosquitto.conf").read_text() == configuration(
        "Generated: tests/test_compose.py holds it to hub/engine/mosquitto.py",
        "/mosquitto/data/passwords",
        "/etc/anxin/acl",
        "1883 0.0.0.0",
        "1884 0.0.0.0",
        200_000,
    )


@pytest.fixture
def composed_broker(engine_prefix: Prefix, tmp_path: Path) -> Iterator[tuple[subprocess.Popen[bytes], int, Path]]:
    """deploy/mosquitto/run.sh with the real broker, as the container runs it, on ports of its own."""
    devices, hub = free_port(), free_port()
    accounts, conf, secret = tmp_path / "passwords", tmp_path / "mosquitto.conf", tmp_path / "secret"
    text = configuration("test", str(accounts), str(tmp_path / "acl"), f"{devices} 127.0.0.1", f"{hub} 127.0.0.1", 1000)
    conf.write_text(text + ("user root\n" if os.getuid() == 0 else ""))
    (tmp_path / "acl").write_text(ACL)
    (tmp_path / "acl").chmod(0o600)
    secret.write_text("first-secret")
    accounts.write_text(f"edge-9:{mosquitto_hash('nine')}\nhub:{mosquitto_hash('of yesterday')}\n")
    tools = tmp_path / "bin"
    tools.mkdir()
    for name in ("mosquitto", "mosquitto_passwd"):
        (tools / name).symlink_to(engine_prefix.program(name))
    environment = {
        "PATH": f"{tools}:/usr/bin:/bin",
        "ANXIN_ACCOUNTS": str(accounts),
        "ANXIN_HUB_PASSWORD_FILE": str(secret),
        "ANXIN_MOSQUITTO_CONF": str(conf),
    }
    process = subprocess.Popen(["/bin/sh", str(TREE / "deploy/mosquitto/run.sh")], env=environment)
    try:
        wait_until(lambda: _accepts(hub) or process.poll() is not None)
        yield process, hub, accounts
    finally:
        process.terminate()
        process.wait(10)


def _accepts(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


async def test_the_composed_broker_knows_the_hub_and_learns_of_new_edges(
    composed_broker: tuple[subprocess.Popen[bytes], int, Path],
) -> None:
    process, port, accounts = composed_broker
    async with session(
        parse_broker(f"mqtt://hub:first-secret@127.0.0.1:{port}"), client_id="hub-0-bulk", clean_start=True
    ):
        pass
    users = read_passwords(accounts)
    assert set(users) == {"hub", "edge-9"}, "whom the hub wrote there stays"
    write_passwords(accounts, {**users, "edge-10": mosquitto_hash("ten")})

    async def knows() -> bool:
        try:
            async with session(
                parse_broker(f"mqtt://edge-10:ten@127.0.0.1:{port}"), client_id="edge-10", clean_start=True
            ):
                return True
        except (DriverError, BadInput):
            return False

    await eventually(knows, 10, 0.2)
    process.send_signal(signal.SIGTERM)
    assert process.wait(10) == 0, "it ends as the broker ends"
    assert not _accepts(port)


# ---- the image ----


def test_the_image_is_built_from_files_that_are_here_and_not_kept_from_it() -> None:
    allowed = {line[1:] for line in (TREE / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    for line in re.findall(r"^COPY (?!--from)(.+)$", DOCKERFILE, re.MULTILINE):
        *sources, _ = line.split()
        for source in sources:
            assert (TREE / source).exists(), source
            assert source in allowed, f"{source} is kept from the image by .dockerignore"


def test_the_image_holds_what_was_tested_and_no_tools_of_development() -> None:
    def packages(name: str) -> dict[str, str]:
        parts = re.split(r"(?m)^(?=[a-z0-9])", (TREE / name).read_text())
        return {re.split(r"[=\[ ]", part)[0]: part for part in parts if "==" in part}

    everything, runtime = packages("requirements.lock"), packages("requirements-runtime.lock")
    assert {name for name, part in runtime.items() if part != everything.get(name)} == set(), "run scripts/lock"
    assert not {"pytest", "mypy", "ruff", "playwright", "schemathesis"} & set(runtime)


def test_the_image_runs_as_an_ordinary_user_who_shares_the_brokers_file() -> None:
    user = re.findall(r"^USER (.+)$", DOCKERFILE, re.MULTILINE)[-1]
    assert user == SERVICES["mosquitto"]["user"] == "1883:1883"
    assert "broker:/mosquitto/data" in SERVICES["mosquitto"]["volumes"]
    assert "broker:/var/lib/anxin/broker" in SERVICES["hub"]["volumes"]
    assert SERVICES["hub"]["environment"]["ANXIN_MQTT_PASSWORD_FILE"] == "/var/lib/anxin/broker/passwords"


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel in a virtual environment that sees our libraries and not the checkout; its folder of programs."""
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    source.mkdir()
    for name in re.findall(r"^!(.+)$", (TREE / ".dockerignore").read_text(), re.MULTILINE):
        if (TREE / name).is_dir():
            shutil.copytree(TREE / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(TREE / name, source / name)
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--no-input", "-q"]
    build = [*pip, "wheel", "--no-build-isolation", "--no-deps", "--no-index", "-w", str(folder), str(source)]
    subprocess.run(build, check=True, cwd=folder)
    (wheel,) = folder.glob("*.whl")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder / "venv")], check=True)
    (site,) = (folder / "venv").glob("lib/python*/site-packages")
    # a .pth line is a plain path: the editable install behind it is not followed
    (site / "libraries.pth").write_text(f"{Path(pytest.__file__).parents[1]}\n")
    python = str(folder / "venv/bin/python")
    subprocess.run([*pip, "--python", python, "install", "--no-deps", "--no-index", "--force-reinstall", str(wheel)], check=True, cwd=folder)  # fmt: skip
    return folder / "venv/bin"


def _run(program: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8", "HOME": "/nonexistent"}
    return subprocess.run(
        [str(program), *arguments], capture_output=True, text=True, env=environment, cwd="/", check=False
    )


def test_an_installed_wheel_has_its_data_and_its_drivers(installed: Path) -> None:
    code = """
import hub
from importlib.metadata import entry_points
from hub.config import Settings, data_folder
from hub.profiles import load_profiles
from hub.rulepacks import load_rule_packs
settings = Settings(database_url="postgresql://x/x", mqtt_url="mqtt://x")
print(hub.__file__)
print(len(load_profiles(settings.profile_folders())), len(load_rule_packs(settings.rule_pack_folders())))
print(sorted(point.load().__module__ for point in entry_points(group="hub.drivers") if point.value.startswith("drivers.")))
print(sorted(path.name for path in (data_folder("dashboards") / "generated").iterdir()))
from hub.store.migrate import FOLDER
print(len(list(FOLDER.glob("versions/*.sql"))))
"""
    done = _run(installed / "python", "-c", code)
    assert done.returncode == 0, done.stderr
    where, counts, drivers, boards, revisions = done.stdout.splitlines()
    assert where.startswith(str(installed.parent)), "it must not be the checkout"
    profiles = len(list((TREE / "device-profiles").glob("*/*.yaml")))
    packs = {path.name for path in (TREE / "rule-packs").glob("*.yaml")} - NOT_PACKS
    assert counts == f"{profiles} {len(packs)}"
    assert all(name in drivers for name in ("modbus", "mqtt", "serial", "snmp"))
    assert boards == str(sorted(path.name for path in (TREE / "dashboards/generated").iterdir()))
    assert int(revisions) == len(list((TREE / "hub/store/migrations/versions").glob("*.sql")))


def test_the_commands_of_an_installed_wheel_run(installed: Path) -> None:
    for program in ("anxin", "anxinctl"):
        done = _run(installed / program, "--help")
        assert done.returncode == 0, done.stderr
    refused = _run(installed / "anxin", "serve")
    assert refused.returncode == 2
    assert "ANXIN_DATABASE_URL" in refused.stderr
