"""pysnmp's engines that nobody uses at the moment, kept because each takes long to make (decision 0140).

pysnmp is loaded with the first one that is wanted, in a thread: neither that half second nor the making of an engine may hold the event
loop. As many are made as are in use at the same time: one a listener and for each two users of one name with different keys, one a SET.
"""

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from drivers.snmp.engine import Engine

_free: list["Engine"] = []
_FEW = 4
"""users that an engine may know and still be used again: to forget one takes 10 ms"""


async def borrowed() -> "Engine":
    """An engine that knows nobody; `give_back` when it is done with."""
    return _free.pop() if _free else await asyncio.to_thread(_made)


def give_back(engine: "Engine") -> None:
    """Whoever borrowed it does not use it any more. One that knows many users is let go of: to forget them takes longer than a new one."""
    from pysnmp.error import PySnmpError  # as late as the engine

    if engine.users <= _FEW:
        try:
            engine.forget()
        except (
            PySnmpError,
            LookupError,
        ):  # its tables are not what they were filled with: it cannot be as new, and is not used again
            return
        _free.append(engine)


def _made() -> "Engine":
    from drivers.snmp.engine import Engine  # half a second

    return Engine()
