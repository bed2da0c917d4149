"""Why an alarm was as it was at any moment, and what noise a duty post had to bear."""

from datetime import timedelta
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Path, Query
from pydantic import BaseModel, ConfigDict, Field

from hub.api.access import Conn, Hub, Reader
from hub.api.schemas import GivenMoment, Identifier, Moment, Name
from hub.core import noise as core
from hub.core.why import Explanation, explain
from hub.errors import BadInput
from hub.model import to_datetime, to_micros
from hub.store import noise, views, why

router = APIRouter(tags=["alarms"])

At = Annotated[GivenMoment | None, Query(description="At this moment (RFC 3339 with offset); now when left out.")]
Since = Annotated[GivenMoment | None, Query(alias="from", description="From this time on; the last day when left out.")]
Until = Annotated[GivenMoment | None, Query(alias="to", description="Before this time; now when left out.")]
_DAY = timedelta(days=1)
_LONGEST = timedelta(days=92)
_MOST_SHOWN = 50


class Fact(BaseModel):
    """One thing that is known."""

    at: Moment | None = Field(description="null for what has no time, such as the definition")
    kind: str
    text: Name
    evidence: dict[str, Any]


class Why(BaseModel):
    """The answer for one alarm at one moment: what decided, and what it rests on. The same question gets the same answer later."""

    alarm: UUID
    at: Moment
    state: str = Field(description="of the alarm then; `none` before it was raised")
    paged: bool = Field(description="whether a message had arrived anywhere by then")
    conclusion: Fact
    facts: list[Fact] = Field(description="in the order of time")


class Source(BaseModel):
    """A definition at a device."""

    institution: str
    device: str
    definition: str
    instance: str


class Counted(Source):
    """A source with how often."""

    count: int


class Chatter(Counted):
    """A source that repeats itself."""

    worst_minute: int
    first: Moment
    last: Moment


class Standing(Source):
    """What has stood for a day or longer."""

    alarm: UUID
    since: Moment


class Flood(BaseModel):
    """More than ten in ten minutes, until fewer than five."""

    model_config = ConfigDict(populate_by_name=True, serialize_by_alias=True)

    since: Moment = Field(alias="from")
    until: Moment = Field(alias="to")
    count: int


class Noise(BaseModel):
    """What a duty post (or, without a name, all together) bore: only what was to be told, nothing hidden. Limits: ISA-18.2, EEMUA 191."""

    model_config = ConfigDict(populate_by_name=True, serialize_by_alias=True)

    post: str | None
    since: Moment = Field(alias="from")
    until: Moment = Field(alias="to")
    alarms: int
    per_ten_minutes: float = Field(description="on average; a post bears about one")
    peak: int = Field(description="the most in any ten minutes")
    flood_share: float = Field(description="of the time, 0 to 1")
    floods: list[Flood]
    priorities: dict[str, float] = Field(
        description="shares; about 0.05 high, 0.15 medium, 0.8 low is what people bear"
    )
    chattering: list[Chatter] = Field(description="three or more within a minute, the worst first")
    fleeting: list[Counted] = Field(description="over within a minute and not back within it")
    standing: list[Standing]
    worst: list[Counted] = Field(description="the ten that came most often")


class Post(BaseModel):
    """Who was told first: a rota or a responder."""

    post: str
    alarms: int


class Posts(BaseModel):
    """All posts that were told of anything, the most first."""

    items: list[Post]


@router.get("/alarms/{alarm}/why")
async def why_alarm(
    who: Reader, conn: Conn, hub: Hub, alarm: Annotated[UUID, Path(description="The alarm's id.")], at: At = None
) -> Why:
    """Why the alarm was as it was, why somebody was told, or why nobody was."""
    await views.alarm(conn, who.scope, alarm)
    story = await why.story(conn, alarm, hub.profiles)
    found = explain(story, to_micros(hub.clock() if at is None else at))
    return _shown(alarm, found)


def _shown(alarm: UUID, found: Explanation) -> Why:
    def fact(one: Any) -> Fact:
        at = None if one.at is None else to_datetime(one.at)
        return Fact(at=at, kind=one.kind, text=Name(zh=one.zh, en=one.en), evidence=dict(one.evidence))

    return Why(
        alarm=alarm,
        at=to_datetime(found.at),
        state=found.state,
        paged=found.paged,
        conclusion=fact(found.conclusion),
        facts=[fact(one) for one in found.facts],
    )


@router.get("/alarm-noise")
async def show_alarm_noise(
    who: Reader,
    conn: Conn,
    hub: Hub,
    post: Annotated[Identifier | None, Query(description="A rota or a responder; all together when left out.")] = None,
    since: Since = None,
    until: Until = None,
) -> Noise:
    """Chattering, fleeting and standing alarms, floods and the mix of priorities, per duty post."""
    end = hub.clock() if until is None else until
    begin = end - _DAY if since is None else since
    if end - begin > _LONGEST:
        raise BadInput("at most 92 days at once", "query/from", code="interval")
    return _noise(post, await noise.measured(conn, who.scope, post, begin, end))


@router.get("/alarm-noise/posts")
async def list_alarm_posts(who: Reader, conn: Conn, hub: Hub, since: Since = None, until: Until = None) -> Posts:
    """Who was told first of the alarms of this time, and of how many."""
    end = hub.clock() if until is None else until
    found = await noise.posts(conn, who.scope, end - _DAY if since is None else since, end)
    return Posts(items=[Post(post=name, alarms=count) for name, count in found])


def _noise(post: str | None, found: core.Measure) -> Noise:
    return Noise(
        post=post,
        since=to_datetime(found.since),
        until=to_datetime(found.until),
        alarms=found.activations,
        per_ten_minutes=found.per_window,
        peak=found.peak,
        flood_share=found.flood_share,
        floods=[
            Flood(since=to_datetime(one.since), until=to_datetime(one.until), count=one.activations)
            for one in found.floods[:_MOST_SHOWN]
        ],
        priorities={priority.value: share for priority, share in found.mix.items()},
        chattering=[
            Chatter(
                **one.source._asdict(),
                count=one.activations,
                worst_minute=one.worst,
                first=to_datetime(one.since),
                last=to_datetime(one.until),
            )
            for one in found.chattering[:_MOST_SHOWN]
        ],
        fleeting=[Counted(**source._asdict(), count=count) for source, count in found.fleeting[:_MOST_SHOWN]],
        standing=[
            Standing(**one.source._asdict(), alarm=one.alarm, since=to_datetime(one.at))
            for one in found.standing[:_MOST_SHOWN]
        ],
        worst=[Counted(**source._asdict(), count=count) for source, count in found.worst],
    )
