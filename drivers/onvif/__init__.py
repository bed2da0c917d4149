"""The driver `onvif`: cameras, encoders and recorders. Settings, README, sample; the link in link.py, everything that decides pure beside it."""

from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager

from drivers.onvif import settings
from hub.driver import Binding, Found, Link

try:
    from drivers.onvif.discovery import discover
    from drivers.onvif.link import connect
except ModuleNotFoundError as error:
    raise ImportError(
        f"it needs the extra 'camera' (pip install 'anxin-hub[camera]'): there is no {error.name}"
    ) from None


class OnvifDriver:
    """What the entry point names (hub.driver.Driver and Discoverer)."""

    name = "onvif"
    Endpoint = settings.Endpoint
    Device = settings.Device
    Address = settings.Address
    Search = settings.Search

    def connect(self, endpoint: settings.Endpoint, bindings: Sequence[Binding]) -> AbstractAsyncContextManager[Link]:
        """A PollLink to the device, which is a PushLink too where points of events are bound."""
        return connect(endpoint, bindings)

    def discover(self, search: settings.Search) -> AsyncIterator[Found]:
        """Devices that answer a WS-Discovery probe."""
        return discover(search)


driver = OnvifDriver()
