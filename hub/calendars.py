"""Days off and made-up working days (调休) of a year, as the State Council's notice arranges them: YAML files, one a year.

Data only; unknown keys are errors that name file and key. A year without a file is not guessed: nobody has said which days differ.
"""

from collections.abc import Iterable
from datetime import date, timedelta
from pathlib import Path
from typing import Annotated

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from hub.errors import BadInput
from hub.model import DayKind
from hub.profiles import Title

_LONGEST = timedelta(days=31)
_MAX_BYTES = 64 * 1024


def _day(given: object) -> object:
    if not isinstance(given, str) or len(given) != 10:
        raise ValueError('write the day in quotes: "2026-10-01"')
    return given


Day = Annotated[date, BeforeValidator(_day)]


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Holiday(_Model):
    """Days off from `first` to `last`, both of them too."""

    title: Title
    first: Day
    last: Day

    @model_validator(mode="after")
    def _is_a_time(self) -> "Holiday":
        if not timedelta() <= self.last - self.first <= _LONGEST:
            raise ValueError("last: not before first, at most 31 days after it")
        return self

    @property
    def days(self) -> list[date]:
        """Every one of them."""
        return [self.first + timedelta(days=n) for n in range((self.last - self.first).days + 1)]


class YearCalendar(_Model):
    """What a notice says of a year: days off, and Saturdays and Sundays on which people work."""

    year: int = Field(ge=1990, le=2200)
    notice: str = Field(min_length=1, max_length=500)
    holidays: tuple[Holiday, ...] = Field(max_length=50)
    workdays: tuple[Day, ...] = Field(default=(), max_length=100)

    @model_validator(mode="after")
    def _says_each_day_once(self) -> "YearCalendar":
        named = [day for holiday in self.holidays for day in holiday.days] + list(self.workdays)
        for day in named:
            if abs((day - date(self.year, 7, 1)).days) > 215:
                raise ValueError(f"{day} lies too far from {self.year}")
            if named.count(day) > 1:
                raise ValueError(f"{day} stands here twice")
        for day in self.workdays:
            if day.weekday() < 5:
                raise ValueError(f"workdays: {day} is a working day already")
        return self

    @property
    def days(self) -> dict[date, DayKind]:
        """The days that differ from plain weekdays."""
        off = {day: DayKind.HOLIDAY for holiday in self.holidays for day in holiday.days}
        return off | dict.fromkeys(self.workdays, DayKind.WORKDAY)


def parse_calendar(text: str | bytes, where: str) -> YearCalendar:
    """The calendar in a file's text; raises BadInput that names `where` and the key."""
    if len(text) > _MAX_BYTES:
        raise BadInput(f"larger than {_MAX_BYTES} bytes", where, code="calendar")
    try:
        return YearCalendar.model_validate(yaml.safe_load(text))
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        if isinstance(error, ValidationError):
            first = error.errors(include_url=False, include_input=False)[0]
            key = ".".join(str(part) for part in first["loc"])
            raise BadInput(f"{key}: {first['msg']}" if key else str(first["msg"]), where, code="calendar") from None
        raise BadInput("is no YAML", where, code="calendar") from None


def load_calendars(folders: Iterable[Path]) -> tuple[YearCalendar, ...]:
    """The calendars of all `*.yaml` in the folders, by year; raises BadInput, also for a year that stands there twice."""
    found: dict[int, YearCalendar] = {}
    folders = tuple(folders)
    for folder in folders:
        if not folder.is_dir():
            raise BadInput("there is no such folder", str(folder), code="calendar")
    for path in sorted(file for folder in folders for file in folder.glob("*.yaml")):
        made = parse_calendar(path.read_bytes(), str(path))
        if made.year in found:
            raise BadInput(f"{made.year} stands in two files", str(path), code="calendar")
        found[made.year] = made
    return tuple(found[year] for year in sorted(found))
