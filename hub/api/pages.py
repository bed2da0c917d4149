"""Cursor pages: `{"items": […], "next": "…"}`. A cursor is opaque: the sort key of the last item, so that nothing is skipped or
shown twice while rows come and go. A database key never stands in one."""

import base64
import binascii
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Annotated, Generic, TypeVar
from uuid import UUID

import msgspec
from fastapi import Query
from pydantic import BaseModel, Field

from hub.errors import BadInput

T = TypeVar("T")
R = TypeVar("R")
Limit = Annotated[int, Query(ge=1, le=500, description="Items a page.")]
CursorParam = Annotated[
    str | None,
    Query(
        alias="cursor", min_length=1, max_length=1000, description="`next` of the page before; leave out for the first."
    ),
]
Key = str | int


class Page(BaseModel, Generic[T]):
    """A page of a list."""

    items: list[T]
    next: str | None = Field(default=None, description="Cursor of the next page; null on the last.")


def encode(*keys: Key) -> str:
    """The opaque cursor of a sort key."""
    return base64.urlsafe_b64encode(msgspec.json.encode(keys)).decode().rstrip("=")


def decode(cursor: str | None, *shape: type[Key]) -> tuple[Key, ...] | None:
    """The sort key of a cursor, checked against its shape; None for the first page; raises BadInput."""
    if cursor is None:
        return None
    wrong = BadInput("this cursor was not given out for this list", "query/cursor", code="cursor")
    try:
        keys = msgspec.json.decode(base64.b64decode(cursor + "=" * (-len(cursor) % 4), b"-_", validate=True))
    except (binascii.Error, ValueError, RecursionError):  # msgspec's errors are ValueErrors
        raise wrong from None
    if not isinstance(keys, list) or [type(key) for key in keys] != list(shape):
        raise wrong
    if any("\x00" in key if isinstance(key, str) else not 0 <= key < 2**63 for key in keys):
        raise wrong
    return tuple(keys)


def moment_key(at: datetime) -> str:
    """A time as part of a cursor."""
    return at.astimezone(UTC).isoformat(timespec="microseconds")


def key_moment(text: Key) -> datetime:
    """The time in a cursor; raises BadInput."""
    try:
        moment = datetime.fromisoformat(str(text))
    except ValueError:
        raise BadInput("this cursor was not given out for this list", "query/cursor", code="cursor") from None
    if moment.tzinfo is None:
        raise BadInput("this cursor was not given out for this list", "query/cursor", code="cursor")
    return moment


def moment_and_id(cursor: str | None) -> tuple[datetime, UUID] | None:
    """The key of a list that is sorted by a time and an id."""
    keys = decode(cursor, str, str)
    if keys is None:
        return None
    try:
        return key_moment(keys[0]), UUID(str(keys[1]))
    except ValueError:
        raise BadInput("this cursor was not given out for this list", "query/cursor", code="cursor") from None


def text_key(cursor: str | None) -> str | None:
    """The key of a list that is sorted by one text."""
    keys = decode(cursor, str)
    return None if keys is None else str(keys[0])


def text_keys(cursor: str | None) -> tuple[str, str] | None:
    """The key of a list that is sorted by two texts."""
    keys = decode(cursor, str, str)
    return None if keys is None else (str(keys[0]), str(keys[1]))


def page(rows: Sequence[R], limit: int, shape: Callable[[R], T], key: Callable[[R], tuple[Key, ...]]) -> Page[T]:
    """Of `limit + 1` rows asked for, a page in its shape, with the cursor of its last row if more follow."""
    shown = rows[:limit]
    return Page(items=[shape(row) for row in shown], next=encode(*key(shown[-1])) if len(rows) > limit else None)
