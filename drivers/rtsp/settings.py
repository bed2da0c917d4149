"""What an RTSP server, a stream and a point are told by people: pydantic models that refuse unknown keys and name them."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, model_validator

Part = Annotated[float, Field(ge=0, le=1)]


class _Model(BaseModel):
    # an input's value may be a password: it is never shown in an error
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class Endpoint(_Model):
    """An RTSP server: a camera, or a recorder with a stream for each of its cameras."""

    host: str = Field(min_length=1, max_length=253, pattern=r"^[A-Za-z0-9._:-]+$")
    port: int = Field(default=554, ge=1, le=65535)
    username: str | None = Field(default=None, min_length=1, max_length=100, pattern=r"^[^:]+$")
    password: SecretStr | None = Field(default=None, max_length=200)
    timeout_s: float = Field(default=6.0, ge=0.2, le=30.0)
    """seconds without a word from the server"""
    window_s: float = Field(default=8.0, ge=0.2, le=30.0)
    """seconds of pictures in one look"""
    fresh_s: float = Field(default=30.0, ge=0, le=3600)
    """seconds for which a look is good: points asked within them share it"""

    @model_validator(mode="after")
    def _both_or_none(self) -> "Endpoint":
        if (self.username is None) != (self.password is None):
            raise ValueError("username, password: both or none")
        return self

    @property
    def name(self) -> str:
        """How errors name this endpoint."""
        return f"rtsp {self.host}:{self.port}"

    @property
    def place(self) -> str:
        """Host and port as an address has them."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


class Device(_Model):
    """One stream of the server."""

    path: str = Field(default="/", pattern=r"^/[!-~]{0,300}$")
    """with its query, as `/Streaming/Channels/101`"""
    overlay: tuple[Part, Part, Part, Part] | None = None
    """where the time stands in the picture: left, top, width, height as parts of it"""


class Address(_Model):
    """Which figure of a look."""

    figure: Literal[
        "flowing",
        "decodable",
        "fps",
        "width",
        "height",
        "codec",
        "bitrate",
        "longest_stall",
        "decode_errors",
        "frozen",
        "black",
        "luma",
        "overlay_moving",
    ]
