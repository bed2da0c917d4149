"""Python's collector of cycles, kept from standing still the process.

A full collection looks at every object there is. With a province's devices in memory that takes seconds in which no alarm is judged, and by itself
it comes whenever a process has grown by a quarter: again and again while everything comes to life. So the old generation is collected here and
nowhere else: what was loaded is set aside (`gc.freeze`) once it is there, and once an hour what has gathered since is looked through.
Nearly all of the hub's garbage has no cycles and is freed at once, as ever.
"""

import gc
from asyncio import sleep
from typing import NoReturn

YOUNG = 5_000
"""new objects after which the youngest are looked at; ten times that for the next: some milliseconds"""
NEVER = 1 << 30
LOADED = (15.0, 120.0)
"""seconds after the start at which what was loaded is set aside"""
EVERY = 3600.0
"""seconds between two collections of what is older"""


async def run() -> NoReturn:
    """Until cancelled."""
    gc.set_threshold(YOUNG, 10, NEVER)
    waited = 0.0
    for at in LOADED:
        await sleep(at - waited)
        waited = at
        gc.freeze()
    while True:
        await sleep(EVERY)
        gc.collect()
        gc.freeze()
