"""The loop of orders against a real database: what turns and what falls due is followed at once, not by looking at everything now and then."""

import asyncio
import contextlib

from hub.core.orders import DAY, Terms
from hub.model import SECOND, Micros, to_datetime, to_micros
from hub.runtime import order_clock
from hub.testing import eventually
from tests.store.coverage_register import Register
from tests.store.findings import CITATION, add_finding

CITED = {**CITATION, "title_zh": "规则", "title_en": "Rule"}


async def test_orders_follow_their_cause_within_seconds_and_the_day_is_taken(fresh_database: str) -> None:
    register = Register(fresh_database)
    register.city()
    [[now]] = register.all("select now()")
    at: Micros = to_micros(now)
    clock = {"at": at}

    def violated(rule: str, since: Micros, days: int | str = 30) -> None:
        cited = {**CITED, "days_to_remedy": days}
        add_finding(register._conn, subject="sun", rule=rule, verdict="non_compliant", since=to_datetime(since), citation=cited)  # fmt: skip

    def said(kind: str) -> None:
        register.do("insert into change (kind, institution, payload) select %s, key, '{}' from institution", kind)

    def states() -> dict[str, str]:
        return dict(register.all("select rule, state from work_order where rule not in ('odd end', 'odd verdict')"))

    violated("old", at - 90 * DAY)
    violated("old without days", at - 90 * DAY, days=0)
    violated("soon", at - DAY + 10 * SECOND)
    # rows that stop nobody else's, though they come first: words of another release, and what the database will not have, drafted or ended
    violated("odd words", at - 99 * DAY, days="soon")
    violated("odd draft", at - 98 * DAY)
    for rule in ("odd end", "odd verdict"):
        add_finding(register._conn, subject="sun", rule=rule, verdict="compliant", since=to_datetime(at - 97 * DAY))
        register.do(
            "insert into work_order (institution, rule, basis, module, citation, sentence_zh, sentence_en, violation_since, days_to_remedy, drafted_at)"
            " select key, %s, 'target', 'm', '{}', '', '', now(), 3, now() - interval '99 days' from institution where id = 'sun'",
            rule,
        )
    register.do(
        "create function poison() returns trigger language plpgsql as $$ begin raise check_violation; end $$;"
        "create trigger poison before insert or update on work_order for each row"
        " when (new.rule in ('odd draft', 'odd end')) execute function poison()"
    )
    register.do("insert into coverage_check values ('sun', now() + interval '9 days')")
    running = asyncio.create_task(
        order_clock.run(
            fresh_database, terms=Terms(), profile=None, clock=lambda: clock["at"], look_seconds=3600, take_seconds=0.05
        )
    )
    try:
        await eventually(lambda: states() == {"old": "draft", "old without days": "draft", "odd words": "draft"})
        await eventually(
            lambda: register.all("select register, connected from coverage_day where place = '1404'") == [(2, 1)]
        )
        clock["at"] += 10 * SECOND  # nothing is announced: it has stood for a day now
        await eventually(lambda: states().get("soon") == "draft")

        register.do("update finding set known_to = now(), ended_by = 1 where rule = 'soon'")
        add_finding(register._conn, subject="sun", rule="soon", verdict="compliant", since=now)
        violated("just begun", clock["at"])
        said("coverage")
        await eventually(lambda: states()["soon"] == "withdrawn")

        due = to_datetime(clock["at"] + 20 * SECOND)
        register.do(
            "update work_order set state = 'issued', issued_at = drafted_at, issued_by = 'p', owner = '1404', due_at = %s, climbs_at = %s"
            " where rule = 'old'",
            due,
            due,
        )
        said("order")  # as the console does with it, and from now on it has a timer
        violated("as old", at - 60 * DAY)
        said("coverage")
        await eventually(lambda: states().get("as old") == "draft")  # both were seen by now
        assert states()["old"] == "issued"
        clock["at"] += 20 * SECOND
        await eventually(lambda: states()["old"] == "raised")
        assert "just begun" not in states()

        violated("unsaid", at - 60 * DAY)
        register.do(
            "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'anxin-orders' and datname = current_database()"
        )
        clock["at"] = at + DAY
        register.do(
            "insert into register_entry (filing_number, division, type, title_zh, title_en) values ('CZ-3', '1404', 'private', '册', 'R')"
        )
        await eventually(
            lambda: sorted(register.all("select register from coverage_day where place = '1404'")) == [(2,), (3,)]
        )
        await eventually(lambda: states().get("unsaid") == "draft")
        assert len(states()) == 6
        ended = "select rule, state from work_order where rule in ('odd end', 'odd verdict') order by 1"
        assert register.all(ended) == [("odd end", "draft"), ("odd verdict", "withdrawn")]
        assert not running.done()
    finally:
        running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running
        register.close()
