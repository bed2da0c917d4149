"""Silences that are over, in the database: what the return adds to their cause, kept beside what was said at the time."""

from collections import defaultdict
from collections.abc import Mapping, Sequence

from psycopg.types.json import Jsonb

from hub.core.blindness import Cause, Evidence, Weighed
from hub.core.blindness_sites import ENDED_IN_ORDER, Return, weigh_return
from hub.model import Micros, to_datetime, to_micros
from hub.profiles import Profile
from hub.store.blindness import to_json
from hub.store.blindness_roots import Transaction, pairs
from hub.store.queries import queries
from hub.store.rows import Row, all_rows

_SQL = queries("blindness")


class ReturnWatch:
    """The watcher's room for returns. `transaction` opens one on its connection."""

    def __init__(self, transaction: Transaction, profiles: Mapping[str, Profile]) -> None:
        self._transaction = transaction
        told = [(p.profile, name) for p in profiles.values() for name, alarm in p.alarms.items() if alarm.tells]
        self._mains = pairs(told)

    async def weigh(self, now: Micros) -> int:
        """Look once at every silence that is over, once all that its client kept of it has come; returns how many causes were amended."""
        async with self._transaction() as conn:
            rows = await all_rows(conn, _SQL["returned"], {"now": to_datetime(now)})
            if not rows:
                return 0
            asked = {
                "keys": [row["key"] for row in rows],
                "institutions": [row["institution"] for row in rows],
                "since": [row["since"] for row in rows],
                "until": [row["until"] for row in rows],
            }
            lost: dict[int, list[Row]] = defaultdict(list)
            for one in await all_rows(conn, _SQL["mains_between"], asked | self._mains):
                lost[one["key"]].append(one)
            unchanged = []
            for row in rows:
                before = Weighed(
                    Cause(row["cause"]), tuple(Evidence(one["what"], one["facts"]) for one in row["evidence"])
                )
                after = weigh_return(before, _known(row, lost[row["key"]]))
                if after == before:
                    unchanged.append(row["key"])
                    continue
                given = {"key": row["key"], "cause": after.cause, "evidence": to_json(after.evidence)}
                await conn.execute(_SQL["amend"], given | {"now": to_datetime(now)})
                said = {
                    "path": row["client"],
                    "cause": after.cause,
                    "said": before.cause,
                    "state": "amended",
                    "silent": 0,
                }
                await conn.execute(_SQL["say"], {"rows": Jsonb([{"institution": row["place"], "payload": said}])})
            await conn.execute(_SQL["settle"], {"keys": unchanged})
        return len(rows) - len(unchanged)


def _known(row: Row, lost: Sequence[Row]) -> Return:
    mains = {one["device"]: to_micros(one["raised_at"]) for one in lost}  # of each the newest
    ended = row["last_end"] or ""
    return Return(row["restarted"], row["rebooted"], ended, ended == ENDED_IN_ORDER, tuple(mains.items()))
