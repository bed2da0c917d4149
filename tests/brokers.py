"""A Mosquitto of a test's own, with users of its own, to be killed, frozen and started again."""

import os
import signal
import socket
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

from pydantic import SecretStr

from hub.engine import Prefix, mosquitto_hash
from hub.mqtt import Broker, Session, session
from hub.testing import wait_until
from tests.ports import free_port

HOST = "127.0.0.1"
PASSWORD = "correct-horse-battery"
ACL = """
user hub
topic readwrite #
user reader
topic read #
"""


class OwnBroker:
    def __init__(self, program: str, folder: Path, largest: int = 262_144) -> None:
        self.port = free_port()
        self._passwords = folder / "passwords"
        self._set_passwords(PASSWORD)
        (folder / "acl").write_text(ACL)
        for name in ("passwords", "acl"):
            (folder / name).chmod(0o600)
        (folder / "mosquitto.conf").write_text(
            f"listener {self.port} {HOST}\nallow_anonymous false\n{f'user root{chr(10)}' if os.getuid() == 0 else ''}"
            f"password_file {folder / 'passwords'}\nacl_file {folder / 'acl'}\npersistence false\n"
            f"max_inflight_messages 1000\nmax_queued_messages 100000\nmax_packet_size {largest}\nlog_type none\n"
        )
        self._command = [program, "-c", str(folder / "mosquitto.conf")]
        self._process: subprocess.Popen[bytes] | None = None

    def _set_passwords(self, password: str) -> None:
        users = "".join(f"{user}:{mosquitto_hash(password)}\n" for user in ("hub", "reader"))
        self._passwords.write_text(users)

    def start(self, password: str = PASSWORD) -> None:
        self._set_passwords(password)
        self._process = subprocess.Popen(self._command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_until(self._accepts)

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def freeze(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def as_user(self, user: str = "hub", password: str = PASSWORD) -> Broker:
        return Broker(HOST, self.port, user, SecretStr(password))

    @asynccontextmanager
    async def session(self, client_id: str = "t", *, clean_start: bool = True, **more: int) -> AsyncIterator[Session]:
        async with session(self.as_user(), client_id=client_id, clean_start=clean_start, **more) as live:  # type: ignore[arg-type]
            yield live

    def _accepts(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex((HOST, self.port)) == 0


@contextmanager
def own_broker(prefix: Prefix, folder: Path, largest: int = 262_144) -> Iterator[OwnBroker]:
    broker = OwnBroker(str(prefix.program("mosquitto")), folder, largest)
    broker.start()
    try:
        yield broker
    finally:
        broker.kill()
