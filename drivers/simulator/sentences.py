r"""A text that a pattern finds: how a simulated device says a value whose profile knows only the regular expression. Pure.

Works on what `re` itself parsed, so that no second understanding of patterns exists; `re._parser` is private to Python, and a test fails when
it changes. `write(r"^D(?P<device>\d{2}) FORCED (?P<value>[01])\s*$", {"device": "01", "value": "1"})` is `D01 FORCED 1`.
"""

import re
from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import Any

_parser: Any = import_module("re._parser")
_FILL = {"CATEGORY_DIGIT": "0", "CATEGORY_SPACE": " ", "CATEGORY_WORD": "a", "CATEGORY_NOT_DIGIT": "x"}
_FILL |= {"CATEGORY_NOT_SPACE": "x", "CATEGORY_NOT_WORD": "-"}
_PRINTABLE = [chr(code) for code in (*range(97, 123), *range(48, 58), *range(65, 91), *range(33, 48), 32)]


class CannotSay(ValueError):
    """The pattern is of a kind that is not written, or does not take the words."""


class _Choices:
    """Decisions on the way through a pattern, each among so many; an odometer counts them through."""

    def __init__(self, taken: list[int]) -> None:
        self._taken = taken
        self.sizes: list[int] = []

    def among(self, options: int) -> int:
        """Which of them this time."""
        at = len(self.sizes)
        self.sizes.append(options)
        return self._taken[at] if at < len(self._taken) else 0

    def next(self) -> list[int] | None:
        """The decisions after these; None where all have been made."""
        taken = [self._taken[at] if at < len(self._taken) else 0 for at in range(len(self.sizes))]
        while taken and taken[-1] + 1 >= self.sizes[len(taken) - 1]:
            taken.pop()
        return [*taken[:-1], taken[-1] + 1] if taken else None


def write(pattern: str, words: Mapping[str, str]) -> str:
    """The shortest text with `words` in the pattern's named groups. Raises CannotSay when the pattern would not find them so."""
    for text in writings(pattern, words, 1):
        return text
    raise CannotSay(f"the pattern {pattern!r} does not take {dict(words)}")


def writings(pattern: str, words: Mapping[str, str], most: int) -> Iterator[str]:
    """Texts with `words` in the pattern's named groups, of the first `most` that its classes and branches allow. Raises CannotSay."""
    compiled = re.compile(pattern)
    parsed = _parser.parse(pattern)
    names = {number: name for name, number in compiled.groupindex.items()}
    taken: list[int] = []
    for _ in range(most):
        choices = _Choices(taken)
        text = _all(parsed, names, words, choices)
        found = compiled.search(text)
        if found is not None and all(
            found[name] == word for name, word in words.items() if name in compiled.groupindex
        ):
            yield text
        after = choices.next()
        if after is None:
            return
        taken = after


def _all(parsed: Any, names: Mapping[int, str], words: Mapping[str, str], choices: _Choices) -> str:
    return "".join(_one(str(op), argument, names, words, choices) for op, argument in parsed)


def _one(op: str, argument: Any, names: Mapping[int, str], words: Mapping[str, str], choices: _Choices) -> str:
    if op == "LITERAL":
        return chr(argument)
    if op == "NOT_LITERAL":
        return "a" if argument != ord("a") else "b"
    if op == "ANY":
        return "a"
    if op == "IN":
        return _sign(argument, choices)
    if op in ("MAX_REPEAT", "MIN_REPEAT", "POSSESSIVE_REPEAT"):
        least, most, below = argument
        named = any(str(inner) == "SUBPATTERN" and names.get(detail[0]) in words for inner, detail in below)
        times: int = max(least, 1 if named and most else 0)
        return _all(below, names, words, choices) * times
    if op == "SUBPATTERN":
        number, _, _, below = argument
        name = names.get(number)
        return words[name] if name is not None and name in words else _all(below, names, words, choices)
    if op == "ATOMIC_GROUP":
        return _all(argument, names, words, choices)
    if op == "BRANCH":
        return _all(argument[1][choices.among(len(argument[1]))], names, words, choices)
    if op == "AT":
        return ""
    raise CannotSay(f"a pattern with {op.lower()} is not written")


def _sign(options: Any, choices: _Choices) -> str:
    refused = str(options[0][0]) == "NEGATE"
    if refused:
        fits: str = next(sign for sign in _PRINTABLE if not any(_fits(sign, *option) for option in options[1:]))
        return fits
    op, argument = options[choices.among(len(options))]
    if str(op) == "LITERAL":
        return chr(argument)
    return chr(argument[0]) if str(op) == "RANGE" else _FILL[str(argument)]


def _fits(sign: str, op: Any, argument: Any) -> bool:
    if str(op) == "LITERAL":
        return bool(ord(sign) == argument)
    if str(op) == "RANGE":
        return bool(argument[0] <= ord(sign) <= argument[1])
    return (
        re.match({"DIGIT": r"\d", "SPACE": r"\s", "WORD": r"\w"}.get(str(argument).split("_")[-1], ""), sign)
        is not None
    )
