"""Lines for a terminal of 80 columns, where a Chinese sign takes two."""

import re
from unicodedata import east_asian_width

COLUMNS = 80
_PIECE = re.compile(r"\s+|[⺀-￯][，。、；：！？）》」』]*|[^\s⺀-￯]+[，。、；：！？）》」』]*")
"""spaces; a Chinese sign, after which a line may break; a word. Closing signs stay where they are."""


def columns(text: str) -> int:
    """How many columns a text takes."""
    return sum(2 if east_asian_width(sign) in "WF" else 1 for sign in text)


def wrapped(text: str, first: str = "", indent: int = 0) -> list[str]:
    """The text in lines: the first begins with `first`, the others with `indent` spaces. A word longer than a line stands out."""
    lines, line = [], first
    empty = True
    for piece in _PIECE.findall(text):
        if not empty and columns(line) + columns(piece.rstrip()) > COLUMNS:
            lines.append(line.rstrip())
            line, empty = " " * indent, True
        if not (empty and piece.isspace()):
            line, empty = line + piece, False
    return [*lines, line.rstrip()]
