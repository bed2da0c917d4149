"""What pages, as a process that is made to be killed: escalator and deliverer over one database. `python -m tests.faults.pager URL`."""

import asyncio
import sys

from hub.runtime import deliverer, escalator


async def main(url: str) -> None:
    """Until it is killed."""
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(escalator.run(url), name="escalator")
        tasks.create_task(deliverer.run(url, profiles={}, allow_loopback=True), name="deliverer")


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
