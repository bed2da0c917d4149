"""The driver `rtsp`: does a stream flow, can it be decoded, is it frozen or black. Only figures come out. Settings, README, sample; the link in link.py."""

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from importlib.util import find_spec

from drivers.rtsp import settings
from drivers.rtsp.link import connect
from hub.driver import Binding, Link

if find_spec("av") is None:  # it is imported only by the process that looks
    raise ImportError("it needs the extra 'camera' (pip install 'anxin-hub[camera]'): there is no av")


class RtspDriver:
    """What the entry point names (hub.driver.Driver)."""

    name = "rtsp"
    Endpoint = settings.Endpoint
    Device = settings.Device
    Address = settings.Address

    def connect(self, endpoint: settings.Endpoint, bindings: Sequence[Binding]) -> AbstractAsyncContextManager[Link]:
        """A PollLink to the server."""
        return connect(endpoint, bindings)


driver = RtspDriver()
