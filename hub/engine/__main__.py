"""`python -m hub.engine`: fetch the engine, or run it as a process of its own, for scripts and tests.

`fetch [--peers]` fetches what is missing. `run --data DIR [--ready-file FILE] [--throw-away] [--with-parent]` runs it until
SIGTERM or Ctrl-C and prints, and writes to FILE (mode 0600), one JSON object as soon as all is ready (see service.Running).
`--throw-away` switches fsync off; with `--with-parent` it stops when the process that started it ends.
"""

import argparse
import asyncio
import ctypes
import json
import os
import signal
import sys
from dataclasses import asdict
from pathlib import Path

from hub.engine.fetch import ensure, ensure_peers
from hub.engine.secretfile import write_secret
from hub.engine.service import Engine
from hub.errors import EngineUnavailable

_PR_SET_PDEATHSIG = 1


async def run(data: Path, ready_file: Path | None, durable: bool) -> None:
    """Run the engine until SIGTERM or SIGINT."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with Engine(data, durable=durable) as engine:
        text = json.dumps(asdict(engine.now))
        if ready_file is not None:
            write_secret(ready_file, text)
        print(text, flush=True)
        await stop.wait()


def main(arguments: list[str] | None = None) -> int:
    """The command; its exit code."""
    parser = argparse.ArgumentParser(prog="python -m hub.engine", description="The private TimescaleDB and Mosquitto.")
    commands = parser.add_subparsers(dest="command", required=True)
    fetch = commands.add_parser("fetch", help="fetch what is missing")
    fetch.add_argument("--peers", action="store_true", help="and the programs that tests speak with")
    start = commands.add_parser("run", help="run it until SIGTERM or Ctrl-C")
    start.add_argument("--data", type=Path, required=True)
    start.add_argument("--ready-file", type=Path)
    start.add_argument("--throw-away", action="store_true", help="no fsync: for tests")
    start.add_argument("--with-parent", action="store_true", help="stop when the parent process ends")
    options = parser.parse_args(arguments)
    try:
        if options.command == "fetch":
            ensure()
            if options.peers:
                ensure_peers()
        else:
            if options.with_parent:
                ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, int(signal.SIGTERM), 0, 0, 0)
                if os.getppid() == 1:
                    return 0
            asyncio.run(run(options.data, options.ready_file, not options.throw_away))
    except EngineUnavailable as error:
        print(f"engine: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
