"""The lamps: a process of its own that writes what it is about to send into a ledger, synced, and notes what was said to be safe.

`device.py --ledger FILE --port-file FILE --rate N lamp-1 lamp-2 …`. Each number goes to one lamp in turn; what is not answered with `ok` is
sent again on the next connection. SIGUSR1 ends producing; it goes on serving what is left until SIGTERM. Standard library only.
The ledger: `sent <n> <device> <at>` before the first sending, `ok <n>` when the edge said that it is safe.
"""

import argparse
import asyncio
import json
import os
import signal
import time
from pathlib import Path


class Lamps:
    def __init__(self, ledger: Path, names: list[str]) -> None:
        self.ledger = os.open(ledger, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self.names = names
        self.number = 0
        self.pending: dict[int, bytes] = {}
        self.edge: asyncio.StreamWriter | None = None
        self.stopped = asyncio.Event()

    def note(self, line: str) -> None:
        os.write(self.ledger, f"{line}\n".encode())
        os.fdatasync(self.ledger)

    def produce(self) -> None:
        self.number += 1
        name, at = self.names[self.number % len(self.names)], time.time_ns() // 1000
        said = {"n": self.number, "device": name, "at": at, "value": self.number}
        self.note(f"sent {self.number} {name} {at}")
        self.pending[self.number] = json.dumps(said).encode() + b"\n"
        if self.edge is not None:
            self.edge.write(self.pending[self.number])

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.edge is not None:
            self.edge.close()  # the edge was killed and is back before we saw that it went
        self.edge = writer
        writer.writelines(list(self.pending.values()))
        try:
            while line := await reader.readline():
                number = int(line.split()[1])
                if self.pending.pop(number, None) is not None:
                    self.note(f"ok {number}")
        except (OSError, ValueError):
            pass
        finally:
            if self.edge is writer:
                self.edge = None
            writer.close()

    async def run(self, rate: float, port_file: Path) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.stopped.set)
        producing = asyncio.create_task(self.keep_producing(rate))
        loop.add_signal_handler(signal.SIGUSR1, producing.cancel)
        server = await asyncio.start_server(self.serve, "127.0.0.1", 0)
        unfinished = port_file.with_suffix(".part")
        unfinished.write_text(str(server.sockets[0].getsockname()[1]))
        unfinished.rename(port_file)
        await self.stopped.wait()
        producing.cancel()

    async def keep_producing(self, rate: float) -> None:
        while True:
            await asyncio.sleep(1 / rate)
            self.produce()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--ledger", type=Path, required=True)
    parser.add_argument("--port-file", type=Path, required=True)
    parser.add_argument("--rate", type=float, default=20.0)
    parser.add_argument("lamps", nargs="+")
    options = parser.parse_args()
    asyncio.run(Lamps(options.ledger, options.lamps).run(options.rate, options.port_file))


if __name__ == "__main__":
    main()
