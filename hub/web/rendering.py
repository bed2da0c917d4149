"""Pages from templates: every value is escaped, words come from translations/words.yaml, times are shown in Beijing time."""

import hashlib
from datetime import datetime, timedelta, timezone
from functools import cache
from importlib.resources import files
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape
from markupsafe import Markup
from starlette.responses import HTMLResponse

from hub.core.coverage.rollup import shown
from hub.web.words import reason_of, word

BEIJING = timezone(timedelta(hours=8))


def both(key: str, **given: object) -> Markup:
    """A word for people: Chinese first, English beside it; `given` fills its blanks."""
    zh, en = word(key)
    return titled(zh.format(**given), en.format(**given)) if given else titled(zh, en)


def titled(zh: str | None, en: str | None) -> Markup:
    """A title in both languages, escaped."""
    first = Markup('<span lang="zh-CN">{}</span>').format(zh or en or "")
    return first if not en or en == zh or not zh else first + Markup(' <span lang="en" class="en">{}</span>').format(en)


def clock(at: datetime | None, *, date: bool = True) -> Markup:
    """A moment in Beijing time, as an element that the script can read."""
    if at is None:
        return Markup("–")
    local = at.astimezone(BEIJING)
    text = local.strftime("%Y-%m-%d %H:%M:%S" if date else "%H:%M:%S")
    return Markup('<time datetime="{}">{}</time>').format(at.isoformat(), text)


def lately(at: datetime | None, now: datetime) -> Markup:
    """A moment by its time alone where it is of this day in Beijing, else with its date: three o'clock of last night is not three o'clock."""
    return clock(at, date=at is not None and at.astimezone(BEIJING).date() != now.astimezone(BEIJING).date())


def local(at: datetime) -> str:
    """A moment in Beijing time as plain text."""
    return at.astimezone(BEIJING).strftime("%Y-%m-%d %H:%M:%S")


def field(at: datetime) -> str:
    """A moment as the value of a browser's field, in Beijing time to the minute."""
    return at.astimezone(BEIJING).strftime("%Y-%m-%dT%H:%M")


def hour(at: datetime) -> str:
    """A moment of today or tomorrow in Beijing time, short."""
    return at.astimezone(BEIJING).strftime("%H:%M")


def since(at: datetime | None) -> Markup:
    """A moment whose distance from now the script shows and keeps moving."""
    if at is None:
        return Markup("–")
    shown = at.astimezone(BEIJING).strftime("%m-%d %H:%M:%S")
    return Markup('<time class="since" datetime="{}">{}</time>').format(at.isoformat(), shown)


def percent(rate: float) -> str:
    """A rate from 0 to 1 of what is wanted."""
    return f"{100 * (shown(rate) or 0.0):.2f} %"


def number(value: float | None) -> str:
    """A measured value, short."""
    return "–" if value is None else f"{value:.6g}"


@cache
def _digest() -> str:
    folder = sorted(files("hub.web").joinpath("static").iterdir(), key=lambda one: one.name)
    return hashlib.sha256(b"".join(one.read_bytes() for one in folder if one.is_file())).hexdigest()[:12]


def static(name: str) -> str:
    """The address of a file of ours: another one whenever any of them is another, since they load each other."""
    return f"/console/static/{_digest()}/{name}"


BEAT_SECONDS = 3.0
"""How often the hub says to an open page that it lives; three times as long without it is silence, and the page says so: within ten seconds."""


@cache
def environment() -> Environment:
    """The templates; an unknown name in one is an error, not an empty place."""
    made = Environment(
        loader=PackageLoader("hub.web", "templates"),
        autoescape=select_autoescape(default=True, default_for_string=True),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.globals |= {"t": both, "words": word, "static": static, "titled": titled, "beat": lambda: BEAT_SECONDS}
    made.filters |= {"clock": clock, "lately": lately, "hour": hour, "since": since, "number": number, "field": field}
    made.filters |= {"percent": percent}
    made.filters["reason"] = lambda text: titled(*reason_of(text))
    return made


def render(template: str, status: int = 200, **values: Any) -> HTMLResponse:
    """A page."""
    return HTMLResponse(environment().get_template(template).render(**values), status)
