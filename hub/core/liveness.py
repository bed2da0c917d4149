"""Who is online, offline or unknown, and why. Silence counts only while somebody was listening.

Three listeners can be deaf: the hub (just started, or its broker or database was away), the lane of an edge (uplink cut, backlog), the edge
(just started). A device is offline only when its edge beat for `offline_after` in the device's own lane without the device being heard; so a
restart of the hub, of an edge, or a backlog makes nobody offline.
Edge times (`at`) and hub times (`received_at`) are never compared with each other, except to see that a lane lags.
"""

from typing import NamedTuple

from hub.model import LinkState, Micros

LAG: Micros = 30_000_000
"""a lane whose newest beat is older than this, or than the edge's offline_after, is behind: its devices are unknown"""


DEATH_GRACE: Micros = 5_000_000
"""an edge whose session ended may come back within this; before it nothing is said, so that a short break of its line flaps nobody"""


ON_ITS_WAY: Micros = 2_000_000
"""so long after the end of a session what it had sent before may still be taken in: lanes are heard one beside the other"""


class Beat(NamedTuple):
    """The newest beat of an edge in one lane."""

    at: Micros
    """edge clock"""
    received_at: Micros
    """hub clock"""
    uptime: Micros
    """how long the edge had been running"""
    stream: str = ""
    """in which it came"""


class Verdict(NamedTuple):
    """A link state with its cause: device, edge, uplink, hub, broker, database, never_seen, or empty when online.

    `edge` and `uplink` say that a client is not heard; what broke there `hub.core.blindness` weighs.
    """

    state: LinkState
    cause: str


_ONLINE = Verdict(LinkState.ONLINE, "")


def judge_edge(
    now: Micros,
    offline_after: Micros,
    heard: Micros | None,
    observing_since: Micros,
    died: Micros | None = None,
    deaf: str = "hub",
) -> Verdict:
    """An edge (or a device that speaks our protocol) by the hub's clock: `heard` is when its newest message was received.

    `observing_since` is when the hub began to listen without a break. Never heard at all stays unknown; 0 is heard once, by another process of
    the hub: one that died while nobody listened is missed like any other. `died`: when the broker said that its
    session had ended (a new session takes it back). That is a hint, no proof: with nothing heard since, but what was on its way, it makes online unknown sooner, never offline.
    `deaf`: what kept the hub from listening before `observing_since`: hub, broker or database.
    """
    if heard is not None and heard >= observing_since and now - heard < offline_after:
        if died is not None and died >= heard - ON_ITS_WAY and now - died >= DEATH_GRACE:
            return Verdict(LinkState.UNKNOWN, "uplink")
        return _ONLINE
    if now - max(heard or 0, observing_since) < offline_after:
        return Verdict(LinkState.UNKNOWN, deaf)
    if heard is None:
        return Verdict(LinkState.UNKNOWN, "never_seen")
    return Verdict(LinkState.OFFLINE, "edge")


def is_fresh(now: Micros, beat: Beat, offline_after: Micros) -> bool:
    """Whether an edge's beat is new enough, and its lane not too far behind, to measure devices by it."""
    return now - beat.received_at < offline_after and now - beat.at < max(LAG, offline_after)


def judge_device(
    now: Micros,
    offline_after: Micros,
    heard: Micros | None,
    edge: Verdict,
    edge_offline_after: Micros,
    beat: Beat | None,
    deaf: str = "hub",
) -> Verdict:
    """A device behind an edge: `heard` is the event time of its newest sample without error, by the edge's clock."""
    if edge.state is not LinkState.ONLINE:
        cause = edge.cause if edge.state is LinkState.UNKNOWN else "edge"
        return Verdict(LinkState.UNKNOWN, cause)
    if beat is None:
        return Verdict(LinkState.UNKNOWN, deaf)
    if not is_fresh(now, beat, edge_offline_after):
        return Verdict(LinkState.UNKNOWN, "uplink")
    if heard is None:
        return Verdict(LinkState.UNKNOWN, "never_seen")
    if (
        heard - beat.at > edge_offline_after
    ):  # `hub.core.device_state.hear` lets nobody be so far ahead: the clock of the edge went back
        return Verdict(LinkState.UNKNOWN, "edge")
    if beat.at - heard < offline_after:
        return _ONLINE
    if beat.uptime < offline_after:
        return Verdict(LinkState.UNKNOWN, "edge")
    return Verdict(LinkState.OFFLINE, "device")
