"""GB/T 26875.3 by editions: which module reads a frame. Pure.

The 2011 edition fixes its main version as 1 (6.6, table 1). Parts of its successor family were issued in 2026 and take effect in 2027; the new
part 3 was not published when this was written, so nothing of it is guessed: its module is put into `EDITIONS` under the main version that it
then names. Until then a frame of another main version is refused and kept, except where a setting says which edition it is (decision 0130).
"""

from types import ModuleType
from typing import Literal

from drivers.serial import gb26875_2011

Edition = Literal["auto", "2011"]

EDITIONS: dict[int, ModuleType] = {1: gb26875_2011}
"""Codec by main version."""

NAMED: dict[str, ModuleType] = {"2011": gb26875_2011}
"""Codec by year, for transmitters whose main version is wrong."""

UNSET = 0
"""Main version of transmitters that fill in none; seen in public captures of 2011 frames, so it is read as those."""


def edition_of(version: tuple[int, int], setting: Edition) -> ModuleType | None:
    """The codec for a frame's version, None where there is none."""
    if setting != "auto":
        return NAMED[setting]
    return EDITIONS[1] if version[0] == UNSET else EDITIONS.get(version[0])
