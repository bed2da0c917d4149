"""What the console says, in both languages: words by their key, and the reasons of refusals, which the rules give in English."""

import re
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any

import yaml

from hub.errors import BadInput
from hub.store.rows import Row

Words = Mapping[str, tuple[str, str]]


def _read(name: str) -> Mapping[object, object]:
    found: Mapping[object, object] = yaml.safe_load(
        files("hub.web").joinpath("translations", f"{name}.yaml").read_text("utf-8")
    )
    return found


@cache
def words() -> Words:
    """Every word of the console by its key: (Chinese, English)."""
    return {str(key): (str(pair[0]), str(pair[1])) for key, pair in _read("words").items() if isinstance(pair, list)}


def word(key: str) -> tuple[str, str]:
    """A word in both languages; what the translations lack (a new state, a new kind) is shown as it is called."""
    return words().get(key) or (key.rpartition(".")[2], "")


@cache
def _reasons() -> tuple[tuple[re.Pattern[str], str], ...]:
    found = []
    for english, chinese in _read("reasons").items():
        pattern = "(.+?)".join(re.escape(part) for part in str(english).split("{}"))
        found.append((re.compile(pattern, re.DOTALL), str(chinese)))
    return tuple(found)


def in_chinese(reason: str) -> str | None:
    """The same reason in Chinese; None where nobody has written it."""
    for pattern, chinese in _reasons():
        found = pattern.fullmatch(reason)
        if found is not None:
            return chinese.format(*found.groups())
    return None


def reason_of(error: Exception | str) -> tuple[str, str]:
    """What a person is told: (Chinese, English). The Chinese is the English where there is none."""
    if not isinstance(error, BadInput):
        text = str(error)
        return in_chinese(text) or text, text
    name = re.split(r"[./]", error.where)[-1]
    label = words().get(f"field.{name}")
    zh = in_chinese(error.reason) or error.reason
    return (f"{label[0]}：{zh}" if label else zh), (f"{label[1]}: {error.reason}" if label else str(error))


def worded(profiles: Mapping[str, Any], row: Row) -> Row:
    """An alarm's row with the titles and the response text of its definition; without the profile it is named by its id."""
    profile = profiles.get(row["profile"])
    definition = None if profile is None else profile.alarms.get(row["definition"])
    if definition is None:
        return {**row, "title": (row["definition"], ""), "first": word("nofirst")}
    title, response = definition.title, definition.response
    return {**row, "title": (title.zh, title.en), "first": (response.zh, response.en)}
