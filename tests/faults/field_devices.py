"""The polled and confirmed devices of the field soak, all sites in one process: a Modbus meter and a fire panel each.

`field_devices.py --ledger FILE --ports FILE --every S site …`. A panel says a new part every `S` seconds and repeats it until it was confirmed,
as a transmitter must; the ledger, synced, has `sent <n> panel-<site> <at>` before the first sending and `ok <n>` after the confirmation
(numbers run over all panels; the part is n, too). SIGUSR1 ends producing; what is not confirmed yet is still said, until SIGTERM.
"""

import argparse
import asyncio
import json
import os
import signal
import time
from pathlib import Path

from drivers.simulator.fire_panel import FirePanel
from drivers.simulator.modbus import ModbusDevice
from drivers.simulator.wire import TcpPort


class Devices:
    """All sites."""

    def __init__(self, ledger: Path, every: float) -> None:
        self.ledger = os.open(ledger, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self.every = every
        self.number = 0
        self.producing = True

    def note(self, line: str) -> None:
        os.write(self.ledger, f"{line}\n".encode())
        os.fdatasync(self.ledger)

    async def panel(self, site: str, wire: TcpPort) -> None:
        async with FirePanel(wire, beat=5.0, patience=2.0) as panel:
            while self.producing:
                self.number += 1
                number = self.number
                self.note(f"sent {number} panel-{site} {time.time_ns() // 1000}")
                while not await panel.part(number, fire=number % 10 == 0, fault=number % 10 != 0):
                    pass
                self.note(f"ok {number}")
                await asyncio.sleep(self.every)
            await asyncio.Event().wait()

    async def meter(self, meter: ModbusDevice) -> None:
        count = 0
        while True:
            count = (count + 1) % 0x10000
            meter.set_holding(1, 0, count)
            meter.set_holding(1, 1, 7)
            await asyncio.sleep(1.0)

    async def run(self, sites: list[str], ports: Path) -> None:
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, stop.set)
        loop.add_signal_handler(signal.SIGUSR1, lambda: setattr(self, "producing", False))
        there: dict[str, dict[str, int]] = {}
        tasks = []
        for site in sites:
            wire, meter = TcpPort(), ModbusDevice()
            await wire.plug()
            await meter.__aenter__()
            there[site] = {"panel": int(wire.port.rsplit(":", 1)[1]), "meter": meter.port}
            tasks += [asyncio.create_task(self.panel(site, wire)), asyncio.create_task(self.meter(meter))]
        unfinished = ports.with_suffix(".part")
        unfinished.write_text(json.dumps(there))
        unfinished.rename(ports)
        ending = asyncio.create_task(stop.wait())
        done, _ = await asyncio.wait([ending, *tasks], return_when=asyncio.FIRST_COMPLETED)
        for task in done - {ending}:
            task.result()  # a device that died is no soak


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--ledger", type=Path, required=True)
    parser.add_argument("--ports", type=Path, required=True)
    parser.add_argument("--every", type=float, default=2.0)
    parser.add_argument("sites", nargs="+")
    options = parser.parse_args()
    asyncio.run(Devices(options.ledger, options.every).run(options.sites, options.ports))


if __name__ == "__main__":
    main()
