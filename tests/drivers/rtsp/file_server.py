"""An RTSP server that we did not write: aio-rtsp-toolkit's file server, in a process of its own. Prints its port; ends with its input."""

import asyncio
import sys

from aio_rtsp_toolkit import server


async def main() -> None:
    server.logger.info = server.logger.debug = server.logger.warning = lambda *_, **__: None
    serving = await server.RtspServer(sys.argv[1], "127.0.0.1", 0).start()
    assert serving._server is not None
    print(serving._server.sockets[0].getsockname()[1], flush=True)
    await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(main())
