"""Clips made here, a server that we did not write, and a front of ours that asks for a digest and has misfortunes."""

import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.drivers.rtsp.front import Front, make_clip

KINDS = ("moving", "frozen", "black", "clock")


@pytest.fixture(scope="session")
def file_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """Its port; it serves `/<kind>.mkv`."""
    folder = tmp_path_factory.mktemp("clips")
    for kind in KINDS:
        make_clip(folder / f"{kind}.mkv", kind)
    script = Path(__file__).with_name("file_server.py")
    with subprocess.Popen(
        [sys.executable, str(script), str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        yield int(process.stdout.readline())
        process.kill()


@pytest.fixture
async def front(file_server: int) -> AsyncIterator[Front]:
    front = Front(file_server)
    await front.open()
    yield front
    await front.close()
