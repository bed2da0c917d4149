"""A private Mosquitto: its configuration (DESIGN.md), its password file, its ports. The passwords are the hub's to decide."""

import base64
import contextlib
import hashlib
import random
import re
import secrets
import signal
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from hub.engine.child import StopSignals
from hub.engine.fetch import Prefix
from hub.engine.identity import Identity, hand_over
from hub.engine.secretfile import write_secret
from hub.errors import BadInput, EngineUnavailable

HUB_USER = "hub"

ACL = f"""\
user {HUB_USER}
topic readwrite #
topic read $SYS/#

pattern write anxin/v1/+/%u/up/#
pattern read anxin/v1/+/%u/down/#
"""
"""Of constant size: a client writes below its own `up/` and reads its own `down/`, the hub's user may all."""

_ITERATIONS = 101
"""What Mosquitto 2.0 uses itself; its passwords here are random, of 256 bits."""

_USER = re.compile(r"[a-z0-9][a-z0-9-]{0,39}")
_HASH = re.compile(r"\$7\$\d+\$[A-Za-z0-9+/]+=*\$[A-Za-z0-9+/]+=*")


class Ports(NamedTuple):
    """Loopback ports: `devices` for edges and devices, `hub` for the hub's own sessions."""

    devices: int
    hub: int


def mosquitto_hash(password: str, salt: bytes | None = None) -> str:
    """What stands for a password in a password file: `$7$iterations$salt$hash`, PBKDF2 with HMAC-SHA512, 12 bytes of salt."""
    salt = secrets.token_bytes(12) if salt is None else salt
    key = hashlib.pbkdf2_hmac("sha512", password.encode(), salt, _ITERATIONS)
    return f"$7${_ITERATIONS}${base64.b64encode(salt).decode()}${base64.b64encode(key).decode()}"


def write_passwords(path: Path, hashes: Mapping[str, str]) -> None:
    """Replace the password file by these users (name → `mosquitto_hash`), at once or not at all; raises BadInput.

    The engine that watches the file tells the broker within 250 ms. Owner and mode (0600) stay.
    """
    for user, value in hashes.items():
        if not _USER.fullmatch(user):
            raise BadInput("a user's name is 1 to 40 of a-z, 0-9 and -, and starts with no -", f"broker user {user!r}")
        if not _HASH.fullmatch(value):
            raise BadInput("not a hash of a password as mosquitto_hash makes it", f"broker user {user!r}")
    text = "".join(f"{user}:{value}\n" for user, value in sorted(hashes.items()))
    write_secret(path, text, sync=True)


def read_passwords(path: Path) -> dict[str, str]:
    """The users of a password file, name → hash; empty when there is no file."""
    if not path.exists():
        return {}
    return dict(line.split(":", 1) for line in path.read_text("utf-8").splitlines() if ":" in line)


class Mosquitto:
    """The part `mosquitto` of the engine (see child.Part), with all its files in `data`."""

    name = "mosquitto"
    death_signal = signal.SIGKILL
    """Nothing of it lives on disk."""
    stop_signals: StopSignals = ((signal.SIGTERM, 5.0),)

    def __init__(self, prefix: Prefix, data: Path, identity: Identity, acl: str, max_queued: int) -> None:
        self.folder = data / "mosquitto"
        self.log = data / "mosquitto.log"
        self.password_file = self.folder / "passwords"
        self.password = ""
        self.ports = Ports(0, 0)
        self._program = prefix.program("mosquitto")
        self._identity = identity
        self._acl = acl
        self._max_queued = max_queued

    @property
    def url(self) -> str:
        """The hub's listener with the hub's credentials."""
        return f"mqtt://{HUB_USER}:{self.password}@127.0.0.1:{self.ports.hub}"

    def create(self, ports: Ports | None) -> None:
        """Write its files; the hub's password and the ports of an earlier run are kept, and so are all other users."""
        self.folder.mkdir(mode=0o700, exist_ok=True)
        secret = self.folder / "hub-password"
        if not secret.exists():
            write_secret(secret, secrets.token_urlsafe(32))
        self.password = secret.read_text("utf-8").strip()
        users = read_passwords(self.password_file)
        write_passwords(self.password_file, {**users, HUB_USER: mosquitto_hash(self.password)})
        self.choose_ports(ports)

    def choose_ports(self, ports: Ports | None) -> None:
        """Take the given ports, or those of the last run if they are free, or new ones; raises EngineUnavailable."""
        remembered = self.folder / "ports"
        if ports is not None:
            taken = [port for port in ports if not _is_free(port)]
            if taken:
                raise EngineUnavailable(
                    f"port {taken[0]} of 127.0.0.1 is taken: stop what listens there, or name another"
                )
            self.ports = ports
        else:
            last = Ports(0, 0)
            with contextlib.suppress(OSError, ValueError, TypeError):
                last = Ports(*map(int, remembered.read_text().split()))
            self.ports = last if all(map(_is_free, last)) else Ports(_free_port(), _free_port())
        write_secret(remembered, f"{self.ports.devices} {self.ports.hub}\n")
        write_secret(self.folder / "acl", self._acl)
        write_secret(self.folder / "mosquitto.conf", self._configuration())
        hand_over(self.folder, self._identity)

    def command(self) -> list[str]:
        """Mosquitto in the foreground, with our file and no other."""
        return [self._program, "-c", str(self.folder / "mosquitto.conf")]

    def prepare(self) -> None:
        """Nothing is left by a dead one."""

    def is_ready(self) -> bool:
        """Both listeners accept."""
        return all(map(_accepts, self.ports))

    def _configuration(self) -> str:
        return configuration(
            "Written by hub.engine at every start",
            str(self.password_file),
            str(self.folder / "acl"),
            f"{self.ports.devices} 127.0.0.1",
            f"{self.ports.hub} 127.0.0.1",
            self._max_queued,
        )


def configuration(origin: str, password_file: str, acl_file: str, devices: str, hub: str, max_queued: int) -> str:
    """mosquitto.conf: the one text behind the private broker and the one of docker-compose.yml. `devices` and `hub` are `port address`."""
    return f"""\
# {origin}; see DESIGN.md, "The broker's configuration".
per_listener_settings false
allow_anonymous false
password_file {password_file}
acl_file {acl_file}
persistence false
retain_available true
max_inflight_messages 1000
max_queued_messages {max_queued}
max_packet_size 262144
set_tcp_nodelay true
sys_interval 2
connection_messages false
log_dest stderr
log_type error
log_type warning
log_type notice
log_timestamp_format %Y-%m-%dT%H:%M:%SZ

# edges and devices: nobody can take another's session
listener {devices}
use_username_as_clientid true

# the hub: one session for each partition and lane under one user
listener {hub}
"""


def _free_port() -> int:
    """A free port below the ephemeral range: there no outgoing connection can take it while the broker is down."""
    lowest = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    for _ in range(200):
        port = random.randrange(min(10_000, lowest - 2_000), lowest)
        if _is_free(port):
            return port
    raise EngineUnavailable("no free port on 127.0.0.1 for the broker")


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return port != 0


def _accepts(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(0.2)
        return probe.connect_ex(("127.0.0.1", port)) == 0
