"""Whether an agent began anew between two looks. Pure.

sysUpTime counts hundredths of a second in 32 bits and begins at 0 again after 497 days (RFC 2578, section 7.1.8), which is no restart: what
counts is whether it stands where the time between the looks has brought it. snmpEngineBoots (RFC 3411) settles it where an agent has it.
"""

from typing import NamedTuple

UPTIME, BOOTS = "1.3.6.1.2.1.1.3.0", "1.3.6.1.6.3.10.2.1.2.0"
_WRAP = 2**32
_SLACK = 3_000
"""Ticks (30 s) that an answer may be late, or an agent's clock behind, without being a restart."""
_DRIFT = 0.005
"""of the time between: agents that count by an interrupt lose some"""


class Life(NamedTuple):
    """One look at an agent."""

    at: float
    """seconds of a monotonic clock of ours"""
    ticks: int
    """sysUpTime"""
    boots: int | None
    """snmpEngineBoots; None where the agent does not say"""


def began_anew(before: Life, now: Life) -> bool:
    """Whether the agent restarted between two looks."""
    if before.boots is not None and now.boots is not None:
        return now.boots != before.boots
    passed = (now.at - before.at) * 100
    expected = before.ticks + passed
    off = (now.ticks - expected) % _WRAP
    if min(off, _WRAP - off) <= _SLACK + _DRIFT * passed:
        return False
    return now.ticks < expected  # above it the agent's clock was set, or runs fast
