"""The simulator `rtsp`: a camera with a synthetic picture. `stream.yaml` of a case: `look` (moving, frozen, black), `width`, `height`, `flows`."""

import contextlib
from collections.abc import AsyncIterator, Mapping, Sequence
from importlib.util import find_spec
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from drivers.simulator.exchange import content_of
from drivers.simulator.faults import Faults
from drivers.simulator.rtsp import Picture, RtspServer
from hub.driver import Binding
from hub.errors import BadInput
from hub.model import Scalar
from hub.simulation import ALL_WORDS, Place, Played, Settings, Values

STREAM = "stream.yaml"
_SHARE = 0.99
"""Share of seconds from which on a picture is shown as frozen or black."""
_SAID = ("flowing", "frozen", "black", "height")
"""Figures that can be brought about; all others are what the synthetic picture has."""

if find_spec("av") is None:
    raise ImportError("it needs the extra 'camera' (pip install 'anxin-hub[camera]'): there is no av")


class _Stream(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    look: Literal["moving", "frozen", "black"] = "moving"
    width: int = Field(default=1280, ge=64, le=1920, multiple_of=2)
    height: int = Field(default=720, ge=64, le=1080, multiple_of=2)
    flows: bool = True


def read_stream(text: str, where: str = STREAM) -> Picture:
    """The picture of a case; raises BadInput that names file and key."""
    try:
        found = _Stream.model_validate(yaml.safe_load(text) or {})
    except yaml.YAMLError as error:
        raise BadInput(" ".join(str(error).split()), where, code="case") from None
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        key = ".".join(str(part) for part in first["loc"])
        raise BadInput(f"{key}: {first['msg']}" if key else str(first["msg"]), where, code="case") from None
    return Picture(found.look, found.width, found.height, found.flows)


class _Replay:
    """Shows its picture to whoever looks."""

    end = None

    def __init__(self, server: RtspServer) -> None:
        self.endpoint: dict[str, Any] = {"host": server.host, "port": server.port}

    async def play(self) -> None:
        """Nothing: it is looked at."""


class _Playing:
    """A camera whose picture flows and moves, until it shall not."""

    words: Mapping[str, frozenset[Scalar]] = ALL_WORDS
    instances = ("1",)

    def __init__(self, played: Played, server: RtspServer, faults: Faults) -> None:
        self._figures = {part.point: part.address.figure for part in played.parts}
        self.cannot = frozenset(point for point, figure in self._figures.items() if figure not in _SAID)
        self.device: Settings = {}
        self.endpoint: Settings = _Replay(server).endpoint
        self._held: dict[str, Any] = {}
        self._server = server
        self._faults = faults

    @property
    def spoilt(self) -> Mapping[str, int]:
        """Faults so far."""
        return self._faults.played

    async def show(self, values: Values) -> bool:
        """The picture that has these figures, from the next look on."""
        self._held |= {self._figures[point]: raw for (point, _), raw in values.items()}
        look: Literal["moving", "frozen", "black"] = "moving"
        for name in ("frozen", "black"):
            if float(self._held.get(name, 0.0)) > _SHARE:
                look = "frozen" if name == "frozen" else "black"
        wide, high = (1280, 720) if float(self._held.get("height", 720)) >= 720 else (640, 360)
        self._server.picture = Picture(look, wide, high, self._held.get("flowing", True) is not False)
        return True


class RtspSimulator:
    """A server on loopback, without users."""

    name = "rtsp"

    @contextlib.asynccontextmanager
    async def replay(self, files: Mapping[str, bytes], place: Place) -> AsyncIterator[_Replay]:
        """`stream.yaml`."""
        async with RtspServer("127.0.0.1", read_stream(content_of(files, STREAM))) as server:
            yield _Replay(server)

    @contextlib.asynccontextmanager
    async def play(self, played: Played, place: Place) -> AsyncIterator[_Playing]:
        """A camera at a port of its own."""
        faults = Faults(played.faults, played.seed)
        async with RtspServer(played.host, Picture(), faults) as server:
            yield _Playing(played, server, faults)

    def tap(self, endpoint: Any, bindings: Sequence[Binding], place: Place) -> Any:
        """None can stand: what would be kept is a picture."""
        raise BadInput("a stream is not recorded: no picture leaves the camera's own network", "driver", code="tap")


simulator = RtspSimulator()
