"""A pager that never looks at the clock that only counts: what tests/faults/climb.py must find out. `python -m tests.faults.believes_the_clock URL`."""

import asyncio
import sys

from hub.core import steady
from tests.faults.pager import main

if __name__ == "__main__":
    steady.TOLERANCE = 10**15
    asyncio.run(main(sys.argv[1]))
