"""The filing list 备案名册 as the regulator sends it: its rows as entries of the register, and what an import would change.

The register is the denominator of every rate, so nothing leaves it by accident: a list is the whole list of one division, an entry that it no
longer names is withdrawn, and where a row cannot be read nothing is withdrawn at all. Pure; knows nothing of files and the database.
"""

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from hub.core.coverage.purposes import InstitutionType
from hub.errors import BadInput
from hub.tables import Line, where

MAX_CAPACITY = 100_000
_LONGEST = 200
_HEADER_WITHIN = 10
"""rows in which the header is looked for: lists begin with a title and a date"""


class Entry(NamedTuple):
    """One line of the register. `credit_code` is the 统一社会信用代码."""

    filing_number: str
    division: str
    type: str
    title_zh: str
    title_en: str
    capacity: int | None
    credit_code: str | None


class Problem(NamedTuple):
    """Why a row cannot be taken in: its number and column as the sender sees them."""

    where: str
    message: str


class Listed(NamedTuple):
    """What a file says. `said`: the fields that have a column; `ignored`: headers that are none of ours; counts are of rows."""

    entries: tuple[Entry, ...]
    said: frozenset[str]
    ignored: tuple[str, ...]
    problems: tuple[Problem, ...]
    rows: int
    bad_rows: int


class Plan(NamedTuple):
    """What an import would do. `withdrawn` is empty where a row was skipped."""

    added: tuple[Entry, ...]
    changed: tuple[tuple[Entry, Entry], ...]
    withdrawn: tuple[Entry, ...]
    same: int

    @property
    def digest(self) -> str:
        """A name for exactly these changes."""
        rows = [self.added, self.changed, self.withdrawn]
        return hashlib.sha256(json.dumps(rows, ensure_ascii=True).encode()).hexdigest()[:32]


_HEADERS: Mapping[str, tuple[str, ...]] = {
    "filing_number": (
        "备案号",
        "备案编号",
        "备案登记号",
        "备案回执编号",
        "filing_number",
        "filing number",
        "filing no",
    ),
    "title_zh": ("机构名称", "托育机构名称", "名称", "title_zh", "name", "title", "institution"),
    "title_en": ("英文名称", "title_en", "name_en", "english name"),
    "type": ("机构类型", "类型", "托育机构类型", "type"),
    "capacity": ("托位数", "核定托位数", "备案托位数", "托位", "capacity", "places", "seats"),
    "division": ("行政区划", "行政区划代码", "区划代码", "所属区划", "所在区划", "division", "division code"),
    "credit_code": ("统一社会信用代码", "社会信用代码", "credit_code", "credit code", "uscc"),
}
_NEEDED = ("filing_number", "title_zh", "type", "division")
_BY_HEADER = {name: field for field, names in _HEADERS.items() for name in names}
_TYPES = {name: kind.value for kind in InstitutionType for name in (kind.value, kind.zh, kind.en)}
_SIGNS = "0123456789ABCDEFGHJKLMNPQRTUWXY"
"""GB 32100-2015, table 2: 31 signs, their places are their values"""
_CODE = re.compile(rf"[{_SIGNS}]{{18}}")


def listed(lines: Sequence[Line], titles: Mapping[str, tuple[str, ...]], within: str) -> Listed:
    """Read the rows of a list of the division `within`. `titles`: every known division by its code, with its names.

    Raises BadInput where there is no header that can be read; what is wrong with single rows stands in `problems`.
    """
    header, columns, ignored = _header(lines)
    body = [line for line in lines if line.n > header]
    named: dict[str, list[str]] = {}
    for code, names in titles.items():
        if code.startswith(within):
            for name in filter(None, names):
                named.setdefault(name, []).append(code)
    places = _Places(frozenset(titles), named, within)
    entries: list[Entry] = []
    problems: list[Problem] = []
    first: dict[str, int] = {}
    bad = 0
    for line in body:
        row = _Row(line, columns)
        entry = row.entry(places)
        if row.number and first.setdefault(row.number, line.n) != line.n:
            row.wrong("filing_number", f"{row.number!r} stands in row {first[row.number]} already")
        problems += row.problems
        bad += bool(row.problems)
        if not row.problems and entry is not None:
            entries.append(entry)
    if not body:
        raise BadInput("the list has a header and no rows: an empty list would withdraw every entry", "#", "register")
    return Listed(tuple(entries), frozenset(columns), ignored, tuple(problems), len(body), bad)


def plan(found: Listed, current: Mapping[str, Entry], within: str) -> Plan:
    """Compare a list with the register: `current` holds the entries of `within`, and every other one that the list names.

    What has no column stays as it is on the register.
    """
    added, changed, same = [], [], 0
    for entry in found.entries:
        before = current.get(entry.filing_number)
        after = _kept(entry, before, found.said)
        if before is None:
            added.append(after)
        elif before != after:
            changed.append((before, after))
        else:
            same += 1
    named = {entry.filing_number for entry in found.entries}
    gone = [one for one in current.values() if one.filing_number not in named and one.division.startswith(within)]
    withdrawn = () if found.problems else tuple(sorted(gone))
    return Plan(tuple(sorted(added)), tuple(sorted(changed, key=lambda pair: pair[1])), withdrawn, same)


def strangers(found: Listed, current: Mapping[str, Entry], within: str) -> list[Problem]:
    """Filing numbers that the register has under a division outside `within`: whose list this is may not take them."""
    return [
        Problem(f"备案号 {entry.filing_number}", "the register has this filing number under another division")
        for entry in found.entries
        if entry.filing_number in current and not current[entry.filing_number].division.startswith(within)
    ]


def _kept(entry: Entry, before: Entry | None, said: frozenset[str]) -> Entry:
    if before is None:
        return entry
    unsaid = {name: getattr(before, name) for name in ("capacity", "credit_code") if name not in said}
    if "title_en" not in said and before.title_en != before.title_zh:
        unsaid["title_en"] = before.title_en
    return entry._replace(**unsaid)


def _header(lines: Sequence[Line]) -> tuple[int, dict[str, int], tuple[str, ...]]:
    best: tuple[int, dict[str, int], tuple[str, ...]] = (0, {}, ())
    for line in lines[:_HEADER_WITHIN]:
        columns: dict[str, int] = {}
        ignored = []
        for m, cell in enumerate(line.cells):
            field = _BY_HEADER.get(_plain(cell))
            if field is None:
                ignored.extend([cell] if cell else [])
            elif field in columns:
                raise BadInput(f"the column {cell!r} stands here twice", where(line.n, m), "register")
            else:
                columns[field] = m
        if len(columns) > len(best[1]):
            best = line.n, columns, tuple(ignored)
    missing = [name for name in _NEEDED if name not in best[1]]
    if missing:
        names = "; ".join(f"{name} ({_HEADERS[name][0]})" for name in missing)
        raise BadInput(f"the list has no column for: {names}", f"row {best[0] or 1}", "register")
    return best


def _plain(cell: str) -> str:
    return re.sub(r"[\s*＊]+", " ", re.sub(r"[（(].*?[）)]", "", cell)).strip().lower()


class _Places(NamedTuple):
    codes: frozenset[str]
    named: Mapping[str, Sequence[str]]
    within: str


class _Row:
    """One row while it is read: every problem of it, not only the first."""

    def __init__(self, line: Line, columns: Mapping[str, int]) -> None:
        self._line = line
        self._columns = columns
        self.problems: list[Problem] = []
        self.number = ""

    def _cell(self, field: str) -> str:
        at = self._columns.get(field)
        return "" if at is None or at >= len(self._line.cells) else self._line.cells[at]

    def wrong(self, field: str, message: str) -> None:
        self.problems.append(Problem(where(self._line.n, self._columns.get(field, 0)), message))

    def entry(self, places: _Places) -> Entry | None:
        self.number = self._text("filing_number")
        title = self._text("title_zh")
        made = Entry(
            self.number,
            self._division(places),
            self._type(),
            title,
            self._cell("title_en") or title,
            self._capacity(),
            self._credit_code(),
        )
        if len(self._cell("title_en")) > _LONGEST:
            self.wrong("title_en", f"at most {_LONGEST} signs")
        return None if self.problems else made

    def _text(self, field: str) -> str:
        found = self._cell(field)
        if not 1 <= len(found) <= _LONGEST:
            self.wrong(field, f"this cell has 1 to {_LONGEST} signs")
        return found

    def _type(self) -> str:
        found = _TYPES.get(self._cell("type"))
        if found is None:
            known = ", ".join(f"{kind.value} {kind.zh}" for kind in InstitutionType)
            self.wrong("type", f"{self._cell('type')[:40]!r} is none of: {known}")
            return ""
        return found

    def _division(self, places: _Places) -> str:
        said = self._cell("division")
        codes = [code_of(said)] if re.fullmatch(r"[0-9]{2,12}", said) else list(places.named.get(said, ()))
        if len(codes) > 1:
            self.wrong("division", f"{said!r} is the name of {len(codes)} divisions: write its code")
        elif not codes or codes[0] not in places.codes:
            self.wrong("division", f"there is no division {said[:40]!r} below {places.within}")
        elif not codes[0].startswith(places.within):
            self.wrong("division", f"{codes[0]} is not within {places.within}, whose list this is")
        else:
            return codes[0]
        return ""

    def _capacity(self) -> int | None:
        said = self._cell("capacity")
        if not said:
            return None
        if re.fullmatch(r"[0-9]{1,6}", said) and 1 <= int(said) <= MAX_CAPACITY:
            return int(said)
        self.wrong("capacity", f"a whole number from 1 to {MAX_CAPACITY}")
        return None

    def _credit_code(self) -> str | None:
        said = self._cell("credit_code").upper()
        if said and not is_credit_code(said):
            self.wrong(
                "credit_code", "this is no 统一社会信用代码: 18 signs whose last one checks the others (GB 32100-2015)"
            )
        return said or None


def code_of(digits: str) -> str:
    """A division's code without the trailing zeros that pad it (GB/T 2260: 2, 4, 6 digits; towns 9, villages 12)."""
    ends = [end for end in (2, 4, 6, 9, 12) if end < len(digits)]
    return next((digits[:end] for end in ends if set(digits[end:]) == {"0"}), digits)


def is_credit_code(text: str) -> bool:
    """Whether the 18 signs hold together: weights 3^i mod 31, modulus 31 (GB 32100-2015, annex A)."""
    if _CODE.fullmatch(text) is None:
        return False
    total = sum(_SIGNS.index(sign) * pow(3, i, 31) for i, sign in enumerate(text[:17]))
    return _SIGNS[(31 - total % 31) % 31] == text[17]
