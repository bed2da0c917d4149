"""The fire-risk score: of one institution with every point explained, and of all in a division, the most dangerous first."""

from datetime import date, datetime, timedelta
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Query
from pydantic import BaseModel, Field

from hub.api import pages
from hub.api.access import Conn, Hub, Reader
from hub.api.schemas import DivisionCode, Identifier, Moment, Name
from hub.core import fire_sentences as sentences
from hub.core.fire_facts import HARD, Weights
from hub.core.fire_kept import Listed, Standing, rank, sentence
from hub.core.fire_risk import Points, Risk, Seen, assess
from hub.core.rota import local_day
from hub.model import SECOND, Micros, to_datetime, to_micros
from hub.store import fire_days, fire_risk, views
from hub.store.fire_days import MOST_DAYS
from hub.store.fire_risk import Place

router = APIRouter(tags=["coverage"])


class FireEvidence(BaseModel):
    """One thing that adds to the score."""

    thing: str = Field(description="`device:<id>`, `zone:<id>`, `check:<kind>`, or empty for the institution")
    state: Literal["bad", "unknown"]
    reason: str
    title: Name
    since: Moment | None


class FireFactor(BaseModel):
    """What one factor adds. The points of all factors add up to the score; `certain` of them rest on what is known."""

    factor: str
    title: Name
    points: int
    certain: int
    most: int = Field(description="a hard factor raises the score to this; another adds no more than this")
    hard: bool
    bad: int
    unknown: int
    sentence: Name
    evidence: list[FireEvidence] = Field(description="worst first, then oldest; at most 50")


class FireShare(BaseModel):
    """What one factor adds to a score of the list; `GET /institutions/{subject}/fire-risk` has the things themselves."""

    factor: str
    title: Name
    points: int
    certain: int
    bad: int
    unknown: int


class FireRiskPlace(BaseModel):
    """The score of one institution, or of an entry of the register that is not connected."""

    subject: str
    institution: str | None
    division: str
    type: str
    title: Name
    score: int = Field(description="0 to 100; what is unknown counts as if it were bad")
    certain: int = Field(description="the part of the score that rests on what is known")
    level: str
    level_title: Name
    hard: bool = Field(description="a fire alarm that has not ended, or gas above its limit")
    sentence: Name


class FireRiskRow(FireRiskPlace):
    """A score of the list. It may be some minutes old, and says so; what cannot be believed any more is unknown."""

    standing: Standing = Field(
        description="`live`: of the facts as they are; `kept`: scored at `as_of`, and nothing has changed since; `changed`, `stale`, `never`: unknown,"
        " for something has changed since `as_of`, it is too old, or there never was one: it counts as the full score, and is scored anew soon"
    )
    as_of: Moment | None = Field(description="of when the score is; null where there never was one")
    age_seconds: int | None
    shares: list[FireShare] = Field(
        description="what adds to the score; the points add up to it, but where it is unknown"
    )


class FireRisk(FireRiskPlace):
    """The score with what it is made of. Its weights are internal parameters, no standard's."""

    at: Moment
    weights: str = Field(description="version of the weights")
    label: Name
    factors: list[FireFactor]


class FireRiskDay(BaseModel):
    """An institution's score on a day (+08:00), as it was seen last on it."""

    day: date
    score: int
    certain: int
    highest: int = Field(description="the highest score of the day")
    hard: bool = Field(description="a hard state was seen on that day")
    level: str
    weights: str = Field(description="version of the weights: scores of different ones are not compared")
    taken_at: Moment


class FireRiskTrend(BaseModel):
    """By day; a day on which nobody looked is missing."""

    institution: str
    days: list[FireRiskDay]


class FireRiskOfDay(BaseModel):
    """The institutions of a scope on a day."""

    day: date
    institutions: int = Field(description="how many were counted on that day")
    mean: float
    worst: int
    hard: int = Field(description="in how many a hard state was seen")
    levels: dict[str, int]
    taken_at: Moment = Field(description="the oldest count of the day")


class FireRiskOfDays(BaseModel):
    """By day; a day on which nobody looked is missing. Not of what is not connected: that is unknown on every day."""

    days: list[FireRiskOfDay]


Days = Annotated[int, Query(ge=1, le=MOST_DAYS, description="How many days back.")]


@router.get("/institutions/{subject}/fire-risk")
async def show_fire_risk(
    who: Reader,
    conn: Conn,
    hub: Hub,
    subject: Annotated[str, Path(max_length=200, description="An institution's id, or `register:<filing number>`.")],
) -> FireRisk:
    """The fire-risk score of one institution as of now, each point explained."""
    now = hub.clock()
    place, facts = await fire_risk.one(conn, who.scope, subject, hub.profiles, hub.weights.limits, now)
    risk = assess(facts, hub.weights, to_micros(now))
    return FireRisk(
        **_place(place, risk),
        sentence=_name(sentences.of_risk(risk, hub.weights)),
        at=now,
        weights=hub.weights.version,
        label=Name(zh=hub.weights.label_zh, en=hub.weights.label_en),
        factors=[_factor(one, hub.weights, risk.at) for one in risk.factors],
    )


@router.get("/fire-risk")
async def list_fire_risk(
    who: Reader,
    conn: Conn,
    hub: Hub,
    division: Annotated[DivisionCode | None, Query(description="A division and everything below it.")] = None,
    limit: pages.Limit = 100,
    cursor: pages.CursorParam = None,
) -> pages.Page[FireRiskRow]:
    """Fire-risk scores, the most dangerous first: hard states, then by score. They are kept, at most half an hour old, and each says of when it is;
    where something has changed since, it is scored anew or unknown.
    """
    after = pages.decode(cursor, int, int, int, str)
    now = hub.clock()
    scored = await fire_risk.listed(conn, who.scope, division, hub.profiles, hub.weights, now)
    rest = [one for one in scored if after is None or rank(one[1]) > after]
    return pages.page(
        rest[: limit + 1], limit, lambda one: _listed(*one, hub.weights, to_micros(now)), lambda one: rank(one[1])
    )


@router.get("/institutions/{institution}/fire-risk/trend")
async def show_fire_risk_trend(
    who: Reader, conn: Conn, hub: Hub, institution: Annotated[Identifier, Path()], days: Days = 90
) -> FireRiskTrend:
    """The score of one institution by day."""
    await views.institution(conn, who.scope, institution)
    rows = await fire_days.of_one(conn, who.scope, institution, *_span(hub.clock(), days))
    return FireRiskTrend(institution=institution, days=[FireRiskDay(**row) for row in rows])


@router.get("/fire-risk/trend")
async def list_fire_risk_trend(
    who: Reader,
    conn: Conn,
    hub: Hub,
    division: Annotated[DivisionCode | None, Query(description="A division and everything below it.")] = None,
    days: Days = 90,
) -> FireRiskOfDays:
    """How the scores of your scope, or of what of it lies in a division, stood by day."""
    rows = await fire_days.of_many(conn, who.scope, division, *_span(hub.clock(), days))
    return FireRiskOfDays(days=[FireRiskOfDay(**row) for row in rows])


def _span(now: datetime, days: int) -> tuple[date, date]:
    today = local_day(to_micros(now))
    return today - timedelta(days=days - 1), today


def _listed(place: Place, one: Listed, weights: Weights, at: Micros) -> FireRiskRow:
    return FireRiskRow(
        **_place(place, one),
        sentence=_name(sentence(one, weights, at)),
        standing=one.standing,
        as_of=None if one.at is None else to_datetime(one.at),
        age_seconds=None if one.at is None else max(0, at - one.at) // SECOND,
        shares=[
            FireShare(
                factor=share.factor,
                title=Name(zh=share.title_zh, en=share.title_en),
                points=share.points,
                certain=share.certain,
                bad=share.bad,
                unknown=share.unknown,
            )
            for share in one.shares
        ],
    )


def _place(place: Place, one: Risk | Listed) -> dict[str, Any]:
    return {
        "subject": place.subject,
        "institution": place.institution,
        "division": place.division,
        "type": place.type,
        "title": Name(zh=place.title_zh, en=place.title_en),
        "score": one.score,
        "certain": one.certain,
        "level": one.level.id,
        "level_title": Name(zh=one.level.title_zh, en=one.level.title_en),
        "hard": one.hard,
    }


def _name(said: tuple[str, str]) -> Name:
    return Name(zh=said[0], en=said[1])


def _factor(points: Points, weights: Weights, at: Micros) -> FireFactor:
    weight = weights.factors[points.factor]
    zh, en = sentences.of_factor(points, weights, at)
    return FireFactor(
        factor=points.factor.value,
        title=Name(zh=weight.title_zh, en=weight.title_en),
        points=points.points,
        certain=points.certain,
        most=points.most,
        hard=points.factor in HARD,
        bad=points.bad,
        unknown=points.unknown,
        sentence=Name(zh=zh, en=en),
        evidence=[_evidence(one) for one in points.evidence],
    )


def _evidence(seen: Seen) -> FireEvidence:
    zh, en = sentences.reason(seen.reason)
    return FireEvidence(
        thing=seen.thing,
        state=seen.state.value,
        reason=seen.reason,
        title=Name(zh=zh, en=en),
        since=None if seen.since is None else to_datetime(seen.since),
    )
