"""The fields of a form as values: lines of text, choices, and moments as a browser's field writes them (Beijing time)."""

from collections.abc import Collection, Mapping
from datetime import datetime

from hub.errors import BadInput
from hub.web.rendering import BEIJING

Form = Mapping[str, str]
LINE = 200
NOTE = 2000
IDENTIFIER = 40


def text(form: Form, name: str, *, most: int, least: int = 0) -> str:
    """A line or a note without the spaces around it; raises BadInput that names the field."""
    found = form.get(name, "").strip()
    if not least <= len(found) <= most:
        raise BadInput(f"this has {least} to {most} characters", name, "validation")
    return found


def choice(form: Form, name: str, among: Collection[str]) -> str:
    """One of the words that the form offers; raises BadInput."""
    found = form.get(name, "")
    if found not in among:
        raise BadInput(f"this is one of {', '.join(among)}", name, "validation")
    return found


def whole(form: Form, name: str, least: int, most: int) -> int:
    """A whole number; raises BadInput."""
    found = form.get(name, "").strip()
    if not (found.isascii() and found.isdigit() and len(found) < 10 and least <= int(found) <= most):
        raise BadInput(f"this is a whole number from {least} to {most}", name, "validation")
    return int(found)


def moment(form: Form, name: str) -> datetime | None:
    """A moment; None where the field was left empty. Raises BadInput."""
    found = form.get(name, "").strip()
    if not found:
        return None
    try:
        at = datetime.fromisoformat(found)
        at = at.replace(tzinfo=BEIJING) if at.tzinfo is None else at
        if not 1970 < at.year < 2200:
            raise ValueError
    except ValueError:
        raise BadInput("a moment is written like 2026-11-22T02:13:00", name, "validation") from None
    return at


def needed(form: Form, name: str) -> datetime:
    """A moment that has to be there; raises BadInput."""
    at = moment(form, name)
    if at is None:
        raise BadInput("a moment is written like 2026-11-22T02:13:00", name, "validation")
    return at
