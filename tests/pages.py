"""Reading our own documents: prose, blocks, sections, tables."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def text(document: str) -> str:
    return (ROOT / document).read_text("utf-8")


def blocks(document: str, language: str = "[a-z]*") -> list[str]:
    """The fenced blocks of a document."""
    return re.findall(rf"^ *```{language}\n(.*?)^ *```$", text(document), re.M | re.S)


def inline(document: str) -> list[str]:
    """What stands between backticks in its prose."""
    return re.findall(r"`([^`\n]+)`", re.sub(r"^ *```.*?^ *```$", "", text(document), flags=re.M | re.S))


def section(document: str, title: str) -> str:
    found = re.search(rf"^##+ {title}\n(.*?)(?=^## |\Z)", text(document), re.M | re.S)
    assert found, f"{document} has no section {title!r}"
    return found[1]


def rows(part: str) -> list[list[str]]:
    """The cells of every table row, without heads and rules."""
    lines = [line for line in part.splitlines() if line.startswith("|")]
    cells = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]
    return [
        row
        for row, following in zip(cells, [*cells[1:], [""]], strict=True)
        if not {row[0][:3], following[0][:3]} & {"---"}
    ]
