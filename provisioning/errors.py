"""What can go wrong for `anxinctl`, each with its exit code. Imports next to nothing, so that the command starts quickly."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple


class Exit:
    """Exit codes of every command."""

    OK = 0
    REFUSED = 1
    """the hub refused, a function test failed, an alarm cannot be reset"""
    BAD_INPUT = 2
    """files, options, or what they ask for do not hold"""
    NOT_REACHABLE = 3
    NOT_ALLOWED = 4


class Place(NamedTuple):
    """A file and the line in it, counted from 1."""

    file: str
    line: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"


class Problem(NamedTuple):
    """Something that does not hold, said in one line."""

    place: Place
    reason: str
    key: str = ""
    """the JSON pointer into the joined manifest without its first slash; empty where there is none"""

    def __str__(self) -> str:
        return f"{self.place}: {self.key}: {self.reason}" if self.key else f"{self.place}: {self.reason}"


class BadManifest(Exception):
    """The manifest does not hold; every problem found, in order."""

    code = Exit.BAD_INPUT

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("; ".join(str(problem) for problem in problems))
        self.problems = tuple(problems)


class Detail(NamedTuple):
    """One thing that the hub does not take: `pointer` leads into what was sent."""

    pointer: str
    reason: str


class HubError(Exception):
    """The hub did not do what was asked; `code` is the exit code that says so."""

    def __init__(self, message: str, code: int, details: Sequence[Detail] = ()) -> None:
        super().__init__(message)
        self.code = code
        self.details = tuple(details)


@contextmanager
def sent_from(file: object) -> Iterator[None]:
    """What the hub does not take of a file that is sent to it as it is, is said of the file."""
    try:
        yield
    except HubError as error:
        if error.code != Exit.BAD_INPUT:
            raise
        raise HubError(f"{file}: {str(error).removeprefix('#: ')}", error.code, error.details) from None
