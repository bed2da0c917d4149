"""Manifest files become one manifest, and every value keeps the file and line it came from.

Each file is a mapping of lists; the lists of all files are joined in the order of the files. The hub names what it refuses by JSON pointer
into the joined manifest; `Manifest.place` turns that into file and line.
"""

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

from provisioning.errors import BadManifest, Place, Problem
from provisioning.text import Document, Json, Refused, pointer_part, read


class Manifest(NamedTuple):
    """The joined manifest, as it is sent, and where its values stand."""

    content: dict[str, list[Json]]
    places: dict[str, Place]

    def place(self, pointer: str) -> Place:
        """Where a pointer stands; for a key that is missing, where it should be: the nearest value around it."""
        while pointer not in self.places and pointer:
            pointer = pointer.rpartition("/")[0]
        return self.places.get(pointer, Place("manifest", 1))

    def problem(self, pointer: str, reason: str) -> Problem:
        """What the hub said about `pointer`, with its file and line."""
        return Problem(self.place(pointer), reason, pointer.removeprefix("/"))


def files_of(paths: Iterable[Path]) -> list[Path]:
    """The files meant: a folder stands for all *.yaml and *.yml below it, in order. Raises BadManifest."""
    found: list[Path] = []
    for path in paths:
        if path.is_dir():
            below = sorted(file for ending in ("*.yaml", "*.yml") for file in path.rglob(ending) if file.is_file())
            if not below:
                raise BadManifest([Problem(Place(str(path), 1), "the folder holds no *.yaml file")])
            found.extend(below)
        else:
            found.append(path)
    return list(dict.fromkeys(found))


def read_document(file: Path, environment: Mapping[str, str] = os.environ) -> Json:
    """The one document of a file that is no manifest: an authority, a calendar. Raises BadManifest that names file and line."""
    try:
        return read(file.read_bytes(), environment).value
    except OSError as error:
        raise BadManifest([Problem(Place(str(file), 1), error.strerror or type(error).__name__)]) from None
    except Refused as error:
        raise BadManifest([Problem(Place(str(file), error.line), error.reason)]) from None


def read_manifest(paths: Iterable[Path], environment: Mapping[str, str] = os.environ) -> Manifest:
    """Read and join the files; raises BadManifest with one problem for each file that cannot be taken."""
    joined = Manifest({}, {})
    problems: list[Problem] = []
    for path in files_of(paths):
        try:
            document = read(path.read_bytes(), environment)
        except OSError as error:
            problems.append(Problem(Place(str(path), 1), f"cannot be read: {error.strerror}"))
        except Refused as error:
            problems.append(Problem(Place(str(path), error.line), error.reason))
        else:
            problems.extend(_join(joined, document, str(path)))
    if problems:
        raise BadManifest(problems)
    return joined


def _join(joined: Manifest, document: Document, file: str) -> list[Problem]:
    if document.value is None:
        return []  # a file of comments
    if not isinstance(document.value, dict):
        return [
            Problem(Place(file, document.lines[""]), "a manifest is a mapping of lists (institutions, register, …)")
        ]
    joined.places.setdefault("", Place(file, document.lines[""]))
    problems: list[Problem] = []
    offsets: dict[str, int] = {}
    for key, value in document.value.items():
        if not isinstance(value, list):
            line = document.lines[f"/{pointer_part(key)}"]
            problems.append(Problem(Place(file, line), "must be a list", key))
            continue
        already = joined.content.setdefault(key, [])
        offsets[pointer_part(key)] = len(already)
        already.extend(value)
    for pointer, line in document.lines.items():
        moved = _moved(pointer, offsets)
        if moved is not None:
            joined.places.setdefault(moved, Place(file, line))
    return problems


def _moved(pointer: str, offsets: Mapping[str, int]) -> str | None:
    """The pointer into the joined manifest of a pointer into one file."""
    parts = pointer.split("/")
    if len(parts) < 2 or parts[1] not in offsets:
        return None
    if len(parts) > 2:
        parts[2] = str(int(parts[2]) + offsets[parts[1]])
    return "/".join(parts)
