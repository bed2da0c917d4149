"""Who the engine's programs run as: PostgreSQL refuses root, and Mosquitto gives root up for a user who cannot read our folders."""

import os
import signal
import subprocess
import sys
from enum import StrEnum
from functools import cache
from pathlib import Path

from hub.errors import EngineUnavailable

_LAUNCH = Path(__file__).with_name("launch.py")
_NOBODY = 65534


class Identity(StrEnum):
    """See launch.py, which takes it on."""

    SELF = "self"
    NAMESPACE = "namespace"
    NOBODY = "nobody"


def launcher(identity: Identity, death_signal: signal.Signals | None, command: list[str]) -> list[str]:
    """`command`, run as `identity`; the kernel sends it `death_signal` when the calling thread ends."""
    number = 0 if death_signal is None else int(death_signal)
    return [sys.executable, "-I", "-S", str(_LAUNCH), identity, str(number), str(os.getpid()), *command]


@cache
def usable_identity() -> Identity:
    """An ordinary user stays who he is; root takes a namespace of its own where the kernel allows it, else nobody."""
    if os.geteuid() != 0:
        return Identity.SELF
    allowed = subprocess.run(launcher(Identity.NAMESPACE, None, ["/bin/true"]), capture_output=True, check=False)
    return Identity.NAMESPACE if allowed.returncode == 0 else Identity.NOBODY


def hand_over(folder: Path, identity: Identity) -> None:
    """Make `folder` and all in it belong to the identity (only `nobody` needs it)."""
    if identity is Identity.NOBODY:
        for path in (folder, *folder.rglob("*")):
            os.chown(path, _NOBODY, _NOBODY, follow_symlinks=False)


def check_reach(path: Path, identity: Identity) -> None:
    """Raise EngineUnavailable when the identity may not enter `path`, for instance because it lies in /root."""
    if identity is not Identity.NOBODY:
        return
    seen = subprocess.run(
        launcher(identity, None, ["/usr/bin/test", "-x", str(path)]), capture_output=True, check=False
    )
    if seen.returncode != 0:
        raise EngineUnavailable(
            f"root may not make user namespaces here, so the engine runs as nobody, and nobody may not enter {path}. "
            "Name folders that all users may enter (ANXIN_ENGINE_HOME=/var/cache/anxin, a data folder in /var/lib), "
            "or start as an ordinary user"
        )
