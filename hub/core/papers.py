"""What is attached to a statement: a picture (PNG, JPEG, WebP) or a PDF, by its own bytes.

What a sender calls it is not believed, and nothing that a browser could run is among them (no SVG, no HTML). Nothing is decoded here, and whoever serves
it gives it to be saved and never to be shown as ours.
"""

from hub.core import pictures
from hub.errors import BadInput

_END = 1024
"""bytes at the end among which a PDF has its end mark (ISO 32000-1, annex H, note 18: as readers take it)"""


def media_type(data: bytes) -> str:
    """What it is. Raises BadInput for what is neither, is cut off, or is a picture too large."""
    if data.startswith(b"%PDF-"):
        if b"%%EOF" not in data[-_END:]:
            raise BadInput("this PDF is cut off: it has no end", "#", "attachment")
        return "application/pdf"
    try:
        return pictures.look(data).media_type
    except BadInput as error:
        raise BadInput(f"a PDF, or a PNG, JPEG or WebP picture: {error.reason}", "#", "attachment") from None
