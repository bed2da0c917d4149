"""One institution by itself: why a client of it is silent, and what its return adds to that. Pure."""

from collections.abc import Sequence
from typing import NamedTuple

from hub.core.blindness import SLACK, Cause, Client, Evidence, Heard, Mains, Weighed, between
from hub.model import SECOND, Micros

CLOSED: Micros = 15 * SECOND
"""a session that ended so soon after the last message was closed by its machine; a line that is cut is noticed after 1.5 keep-alives of 15 s"""
POWER_BEFORE: Micros = 24 * 3600 * SECOND
"""for so long a battery may have carried the site since the mains failed"""
ENDED_IN_ORDER = "stopped"
"""what an edge says at its next start of an end in order (its point `last_end`)"""


def weigh_client(client: Client, others: Sequence[Client], mains: Sequence[Mains]) -> Weighed:
    """Why one client is silent. `others`: the other clients of its institution; `mains`: what watches the mains there."""
    evidence = [Evidence("silent", {"device": client.id, "since": client.last})]
    for mate in others:
        if mate.state is Heard.HEARD:
            evidence.append(Evidence("other_heard", {"device": mate.id}))
            return Weighed(Cause.EDGE, tuple(evidence))
    lost = [one for one in mains if one.lost is not None and _failed_before(one.lost, client)]
    if lost:
        evidence += [Evidence("mains_lost", {"device": one.device, "since": one.lost}) for one in lost]
        return Weighed(Cause.SITE_POWER, tuple(evidence))
    fine = [one for one in mains if one.lost is None]
    evidence += [Evidence("mains_fine", {"device": one.device}) for one in fine]
    silent = [
        mate for mate in others if mate.state is Heard.SILENT and abs(mate.last - client.last) <= _about(mate, client)
    ]
    if silent:
        evidence.append(Evidence("clients_silent", {"silent": len(silent) + 1, "of": len(others) + 1}))
        if fine:
            return Weighed(Cause.UPLINK, tuple(evidence))
        return Weighed(Cause.UNDETERMINED, (*evidence, between(Cause.SITE_POWER, Cause.UPLINK)))
    if client.closed is not None and 0 <= client.closed - client.last < CLOSED:
        evidence.append(Evidence("session_closed", {"after_s": round((client.closed - client.last) / SECOND, 1)}))
        return Weighed(Cause.EDGE, tuple(evidence))
    left = (Cause.EDGE, Cause.UPLINK) if fine else (Cause.EDGE, Cause.SITE_POWER, Cause.UPLINK)
    return Weighed(Cause.UNDETERMINED, (*evidence, between(*left)))


def _about(one: Client, other: Client) -> Micros:
    return max(one.beat, other.beat) + 2 * SLACK


def _failed_before(lost: Micros, client: Client) -> bool:
    return client.last - POWER_BEFORE <= lost <= client.last + client.beat + SLACK


class Return(NamedTuple):
    """What is known once a silent client is back; None: nobody can say."""

    restarted: bool | None = None
    """whether its program began anew meanwhile"""
    rebooted: bool | None = None
    """whether its machine did"""
    last_end: str = ""
    """how the program says that it ended before"""
    in_order: bool = False
    """whether that was a stop in order"""
    lost: tuple[tuple[str, Micros], ...] = ()
    """what watches the mains there and said that they failed, and when: before the silence or in it"""


def weigh_return(weighed: Weighed, known: Return) -> Weighed:
    """What the return of a silent client adds to what was said while it was silent; what was no guess stays.

    Mains that something there on a battery saw fail are the power. Without that a program that ran all the while was cut off by its uplink; one that
    began anew on a machine that ran all the while, or that had been stopped in order, ended by itself. What began anew with its machine is the
    edge where the mains were seen to be there, and open between the two where nobody watches them.
    """
    said = tuple(one for one in weighed.evidence if one.what != "candidates")
    seen = {one.what for one in said}
    if weighed.cause is not Cause.UNDETERMINED and "session_closed" not in seen:
        return weighed
    if known.restarted:
        said = (*said, Evidence("began_anew", {"last_end": known.last_end}))
    elif known.restarted is False:
        said = (*said, Evidence("ran_meanwhile", {}))
    if known.lost:
        mains = (Evidence("mains_lost", {"device": name, "since": at}) for name, at in known.lost)
        return Weighed(Cause.SITE_POWER, (*said, *mains))
    if known.restarted is None:
        return weighed
    if not known.restarted:
        return Weighed(Cause.UPLINK, said)
    if known.rebooted is False:
        return Weighed(Cause.EDGE, (*said, Evidence("machine_ran", {})))
    if known.in_order:
        return Weighed(Cause.EDGE, said)
    if known.rebooted:
        said = (*said, Evidence("machine_rebooted", {}))
    if seen & {"mains_fine", "session_closed"}:
        return Weighed(Cause.EDGE, said)
    return Weighed(Cause.UNDETERMINED, (*said, between(Cause.EDGE, Cause.SITE_POWER)))
