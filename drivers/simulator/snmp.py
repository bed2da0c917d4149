"""An SNMP agent on loopback, for the demo: pysnmp's command responder in a process of its own (it takes a millisecond of CPU a request,
which must not delay the hub's loop, and 0.7 s to load). The driver's tests use net-snmp's snmpd instead.

::

    async with SnmpAgent(users=[SnmpUser("hub", "auth-secret", "priv-secret")]) as agent:
        await agent.set("1.3.6.1.2.1.33.1.2.4.0", "gauge", 97)
        await agent.unplug()           # the port is closed
        await agent.plug()             # and open again, the same port
        await agent.garble_next()      # the next answer is garbage
"""

import asyncio
import json
import sys
from collections.abc import Iterable, Sequence
from types import TracebackType
from typing import Any, Literal, NamedTuple, Self

HOST = "127.0.0.1"
UPTIME = "1.3.6.1.2.1.1.3.0"
GARBAGE = b"\xca\xfe this is no SNMP"
_PROGRAM = "drivers.simulator.snmp_agent"
_WAIT_S = 20.0
"""For the process to load and for each of its answers; a loaded machine is slow."""

Kind = Literal["integer", "gauge", "counter", "counter64", "timeticks", "string", "octets", "oid", "ip"]
"""`octets` are written in hexadecimal"""


class SnmpUser(NamedTuple):
    """A version 3 user with authentication and privacy; keys have at least 8 characters."""

    name: str
    auth_key: str
    priv_key: str
    auth: str = "sha256"
    priv: str = "aes128"

    def __repr__(self) -> str:
        return f"SnmpUser({self.name!r})"


class SnmpAgents:
    """Any number of agents in one process, by name."""

    def __init__(self) -> None:
        self._process: asyncio.subprocess.Process | None = None
        self._turn = asyncio.Lock()

    async def __aenter__(self) -> Self:
        self._process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-P",
            "-m",
            _PROGRAM,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            start_new_session=True,  # Ctrl-C is for whoever started us
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        assert process.stdin is not None
        process.stdin.close()  # it ends with its input
        try:
            async with asyncio.timeout(2):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()

    @property
    def pid(self) -> int:
        """The process's id."""
        assert self._process is not None
        return self._process.pid

    async def tell(self, name: str, **command: Any) -> dict[str, Any]:
        """One command to one agent (drivers/simulator/snmp_agent.py), and its answer."""
        process = self._process
        assert process is not None
        assert process.stdin is not None
        assert process.stdout is not None
        async with self._turn, asyncio.timeout(_WAIT_S):
            process.stdin.write(json.dumps({"agent": name, **command}).encode() + b"\n")
            await process.stdin.drain()
            line = await process.stdout.readline()
        if not line:
            raise RuntimeError(f"the SNMP agents' process ended with code {await process.wait()}; its error is above")
        said: dict[str, Any] = json.loads(line)
        return said


class SnmpAgent:
    """An async context manager; `port` 0 takes a free one, `port` then says which. `community` None switches version 2c off; traps go to `hears`."""

    def __init__(
        self,
        port: int = 0,
        community: str | None = None,
        users: Sequence[SnmpUser] = (),
        hears: tuple[str, int] | None = None,
    ) -> None:
        self.host = HOST
        self.port = port
        self._settings = {
            "port": port,
            "community": community,
            "users": [[user.name, user.auth, user.auth_key, user.priv, user.priv_key] for user in users],
            "hears": hears,
        }
        self._agents = SnmpAgents()

    async def __aenter__(self) -> Self:
        await self._agents.__aenter__()
        try:
            self.port = (await self._agents.tell("", open=self._settings))["port"]
            await self.set(UPTIME, "timeticks", 0)
        except BaseException:
            await self._agents.__aexit__(None, None, None)
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._agents.__aexit__(kind, error, trace)

    @property
    def pid(self) -> int:
        """The id of its process."""
        return self._agents.pid

    async def set(self, oid: str, kind: Kind, value: int | str) -> None:
        """Set what a GET of `oid` gives."""
        await self._agents.tell("", set=[oid, kind, value])

    async def fill(self, variables: Iterable[tuple[str, str, int | str]]) -> None:
        """Know these (OID, kind, value) and nothing else."""
        await self._agents.tell("", fill=[list(variable) for variable in variables])

    async def trap(self, oid: str, variables: Iterable[tuple[str, str, int | str]] = ()) -> None:
        """Send a trap with these variable bindings to who hears."""
        await self._agents.tell("", trap=[oid, [list(variable) for variable in variables]])

    async def remove(self, oid: str) -> None:
        """Make `oid` unknown."""
        await self._agents.tell("", remove=oid)

    async def unplug(self) -> None:
        """Close the port; nothing happens when it is closed."""
        await self._agents.tell("", plug=False)

    async def plug(self) -> None:
        """Open the port again; nothing happens when it is open."""
        await self._agents.tell("", plug=True)

    async def garble_next(self, answer: bytes = GARBAGE) -> None:
        """Send `answer` instead of the next answer; calls queue up."""
        await self._agents.tell("", garble=answer.hex())
