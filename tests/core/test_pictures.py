"""Floor plans: what is taken for a picture, by its own bytes."""

import struct
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.core import papers
from hub.core.pictures import MAX_BYTES, MAX_SIDE, Picture, look
from hub.errors import BadInput


def png(width: int, height: int) -> bytes:
    """A whole grey picture."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    rows = zlib.compress((b"\0" + b"\x80" * width) * height)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def jpeg(width: int, height: int, before: bytes = b"") -> bytes:
    """The head of a JPEG as far as its frame."""
    frame = b"\xff\xc0" + struct.pack(">HBHHB", 11, 8, height, width, 1) + b"\x01\x11\x00"
    return b"\xff\xd8" + (before or b"\xff\xe0\x00\x04ab") + frame


def webp(kind: bytes, body: bytes) -> bytes:
    return b"RIFF" + struct.pack("<I", 12 + len(body)) + b"WEBP" + kind + struct.pack("<I", len(body)) + body


LOSSY = webp(b"VP8 ", b"\x30\x01\x00\x9d\x01\x2a" + struct.pack("<HH", 320, 200))
LOSSLESS = webp(b"VP8L", b"\x2f" + struct.pack("<I", (320 - 1) | (200 - 1) << 14))
EXTENDED = webp(b"VP8X", b"\0\0\0\0" + (319).to_bytes(3, "little") + (199).to_bytes(3, "little"))


@given(st.integers(1, MAX_SIDE), st.integers(1, MAX_SIDE))
def test_type_and_size_are_what_the_bytes_say(width: int, height: int) -> None:
    head = png(1, 1)
    assert look(head[:16] + struct.pack(">II", width, height) + head[24:]) == Picture("image/png", width, height)
    assert look(jpeg(width, height)) == Picture("image/jpeg", width, height)
    assert look(jpeg(width, height, b"\xff\xff\xfe\x00\x03x")) == Picture("image/jpeg", width, height)


@pytest.mark.parametrize("data", [LOSSY, LOSSLESS, EXTENDED])
def test_the_three_kinds_of_webp_are_read(data: bytes) -> None:
    assert look(data) == Picture("image/webp", 320, 200)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>",
        b"<?xml version='1.0'?><svg/>",
        b"<html><script>alert(1)</script>",
        b"GIF89a\x01\x00\x01\x00",
        b"%PDF-1.7",
        b"\xff\xd8\xffnothing",
        png(5, 5)[:20],
        LOSSY[:27],
        LOSSLESS[:22],
        EXTENDED[:28],
    ],
)
def test_what_is_no_picture_or_could_hold_a_script_is_refused(data: bytes) -> None:
    with pytest.raises(BadInput):
        look(data)


def test_a_picture_that_is_too_large_is_refused_in_bytes_and_in_pixels() -> None:
    with pytest.raises(BadInput, match=str(MAX_BYTES)):
        look(png(3, 3) + bytes(MAX_BYTES))
    for size in ((0, 5), (5, 0), (MAX_SIDE + 1, 5)):
        with pytest.raises(BadInput, match="pixels"):
            look(jpeg(*size))


@given(
    st.sampled_from([b"", b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"RIFF0000WEBPVP8X", b"RIFF0000WEBPVP8 "]),
    st.binary(max_size=200),
)
def test_any_bytes_give_a_picture_or_a_refusal(head: bytes, rest: bytes) -> None:
    try:
        found = look(head + rest)
    except BadInput:
        return
    assert 1 <= found.width <= MAX_SIDE
    assert 1 <= found.height <= MAX_SIDE


def test_what_is_attached_is_a_picture_or_a_whole_pdf_whatever_it_is_called() -> None:
    assert papers.media_type(png(3, 3)) == "image/png"
    assert papers.media_type(b"%PDF-1.7\n...\n%%EOF\n") == "application/pdf"
    for wrong, reason in (
        (b"%PDF-1.7\n" + b"%%EOF" + b" " * 2000, "no end"),
        (b"<html><script>", "a PDF, or a PNG"),
        (b"", "a PDF, or"),
    ):
        with pytest.raises(BadInput, match=reason):
            papers.media_type(wrong)


@given(st.binary(max_size=200), st.sampled_from([b"", b"%PDF-", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"RIFF"]))
def test_no_bytes_are_taken_for_something_else_or_break_it(tail: bytes, head: bytes) -> None:
    try:
        found = papers.media_type(head + tail)
    except BadInput:
        return
    assert found in ("application/pdf", "image/png", "image/jpeg", "image/webp")
