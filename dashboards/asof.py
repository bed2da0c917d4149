"""What held at the chosen time, as it was known at the other chosen time: pieces of SQL over the views that keep a past.

Both times are the reader's (`as_of`, `known_at`); with nothing chosen everything is of now. Ages are seconds since the oldest thing that a figure
stands on, at that time; completeness is the share, in per cent, of what should be known that was.
"""

from dashboards.choices import HERE, IN_DIVISION

MOMENT = "(select dash.moment('${as_of}'))"
"""The instant that the board looks at; as a query of its own it is asked once and not for every row."""
KNOWN = "(select dash.known('${known_at}'))"
UPTO = f"least({MOMENT}, {KNOWN})"
"""For what is written when it happens: the earlier of both decides."""
CHOSEN = "(trim('${as_of}') not in ('', 'now') or trim('${known_at}') not in ('', 'now'))"
"""Whether a past was chosen. It is folded while planning: the half of a query that is not wanted is not run."""
DAY = f"({MOMENT} at time zone 'Asia/Shanghai')::date"
HELD = (
    f"true_from <= {MOMENT} and (true_to is null or true_to > {MOMENT})"
    f" and known_from <= {KNOWN} and (known_to is null or known_to > {KNOWN})"
)
"""What was true then, as it was known then (columns of dash.history)."""
_DOUBTED = (
    "'${known_at}' <> '' and exists (select from dash.history n where n.subject = h.subject and n.rule = h.rule and n.reason = 'stale'"
    f" and n.known_to is null and n.true_from <= {MOMENT} and (n.true_to is null or n.true_to > {MOMENT}))"
)
"""Nobody looked at that time, as is known by now: what was held to be green then was shown as unknown then, too."""
VERDICT_THEN = (
    f"case when verdict in ('compliant', 'unsigned') and (checked_at is null or checked_at < {MOMENT} - interval '3 minutes' or ({_DOUBTED}))"
    " then 'unknown' else verdict end"
)
"""The verdict then (of dash.history as h). Where nobody has judged since, it is unknown; the ledger holds none compliant longer than three minutes unrenewed."""
AGE_THEN = f"case when checked_at < {MOMENT} then extract(epoch from {MOMENT} - checked_at)::float8 when checked_at is not null then 180.0 end"
"""How old a verdict was then: exact where nobody has judged since, else the three minutes that it can have been at most."""
FRESH_THEN = f"checked_at >= {MOMENT} - interval '3 minutes'"
COMPLETE_THEN = f"case when {FRESH_THEN} then 100.0 else 0.0 end"

PLACES_THEN = (
    f"(select * from dash.institution where created_at <= {MOMENT} and (retired_at is null or retired_at > {MOMENT}))"
)
"""Institutions that were there then."""
_LISTED = f"since <= {UPTO} and (until is null or until > {UPTO})"
SUBJECTS_THEN = f"""(
    select coalesce(p.institution, 'register:' || e.filing_number) as subject, p.institution, e.division, e.title_zh, e.title_en,
           p.institution is not null as connected, true as listed, case when p.institution is null then e.checked_at else p.checked_at end as checked_at
    from (select * from dash.entry where {_LISTED}) e
    left join (select * from dash.institution where retired_at is null or retired_at > {MOMENT}) p on p.institution = e.institution
    union all
    select p.institution, p.institution, p.division, p.title_zh, p.title_en, true, false, p.checked_at
    from {PLACES_THEN} p
    where not exists (select from dash.entry e where e.institution = p.institution and {_LISTED}))"""
"""The register as it was then, and institutions on no register (not `listed`)."""
STANDING_THEN = (
    f"max({AGE_THEN}) as age, trunc(100.0 * count(*) filter (where {FRESH_THEN}) / nullif(count(*), 0), 2) as complete"
)
STANDS_THEN = f"(select max({AGE_THEN}) as age, trunc(100.0 * count(*) filter (where connected and {FRESH_THEN}) / nullif(count(*), 0), 2) as complete from {SUBJECTS_THEN} s where {IN_DIVISION})"
"""Of the register: who is not connected is not known, however lately that was said."""
HERE_STANDS_THEN = f"(select {STANDING_THEN} from {PLACES_THEN} p where {HERE})"

ORDERS_THEN = f"""(
    select w.*, s.state as state_then, s.raised_to as raised_then, s.due_from + w.days_to_remedy * interval '1 day' as due_then
    from dash.work_order w
    join (select id, (array_agg(state order by n desc))[1] as state, (array_agg(raised_to order by n desc))[1] as raised_to,
                 max(at) filter (where event in ('issue', 'reopen')) as due_from
          from dash.order_step where at <= {UPTO} group by id) s on s.id = w.id)"""
"""Orders by their last step until then; the deadline counts from when one was issued or reopened."""
WAIVED_THEN = (
    f"since <= {MOMENT} and expires_at > {MOMENT} and granted_at <= {KNOWN} and (ended_at is null or ended_at > {UPTO})"
)

RANKS = "array['non_compliant', 'unknown', 'unsigned', 'waived', 'compliant', 'not_applicable']"
"""Verdicts from the worst: an institution is what the worst of its findings is. `unsigned` is no green."""
MET, COUNTED = 5, 5
"""The place of `compliant` among RANKS, and the last one that a rate counts."""


def standing_then(which: str, *, by: str = "") -> str:
    """One row a subject: the rank of its worst finding of those of `which`, how many it has of each, and where it lies.

    What was never judged is unknown in everything; what was judged and has no finding of these is not counted, as in the roll-up of the
    day (coverage_standing, migration 0043). The division is the one of then (the ledger has the one of now, and is not asked for it). `by`: a further column of the findings, with a row for each of its values that there is.
    """
    more = f", h.{by}" if by else ""
    return f"""(
    select s.subject, s.division, s.title_zh, s.title_en, s.connected, s.listed, s.checked_at, f.compliant, f.non_compliant, f.unknown, f.waived{f", f.{by}" if by else ""},
           case when f.worst is not null then f.worst
                when (select true from dash.judged a where a.subject = s.subject and {HELD} limit 1) then 6 else 2 end as worst
    from {SUBJECTS_THEN} s
    left join (
        select v.subject, min(array_position({RANKS}, v.verdict)) as worst, count(*) filter (where v.verdict = 'compliant') as compliant,
               count(*) filter (where v.verdict = 'non_compliant') as non_compliant{f", v.{by}" if by else ""},
               count(*) filter (where v.verdict in ('unknown', 'unsigned')) as unknown, count(*) filter (where v.verdict = 'waived') as waived
        from (select h.subject{more}, {VERDICT_THEN} as verdict from dash.history h where {which} and {HELD}) v
        group by v.subject{f", v.{by}" if by else ""}) f on f.subject = s.subject
    where {IN_DIVISION})"""


_DAY_BEFORE = "(select dash.moment('${as_of}') - interval '25 hours')"
"""As a query of its own: what is subtracted in a condition is compared after all looks of all days were read."""


def looked(what: str) -> str:
    """What devices or recordings of the institutions of the selection looked like then (hub.runtime.look_watch): a row for each at which somebody had
    looked within half an hour. A row of the book is a day old at most. `age` is exact where nobody has looked since, else the ten minutes that it can have been
    at most. The others are `unseen`.
    """
    return f"""(
    select r.institution, r.title_zh, r.title_en, r.body,
           case when r.seen_at < {MOMENT} then extract(epoch from {MOMENT} - r.seen_at)::float8 else 600.0 end as age
    from (select distinct on (institution) * from dash.look
          where what = '{what}' and since <= {UPTO} and since > {_DAY_BEFORE} and {HERE}
          order by institution, since desc) r
    where least(r.seen_at, {KNOWN}) >= {MOMENT} - interval '30 minutes' and r.created_at <= {MOMENT} and (r.retired_at is null or r.retired_at > {MOMENT}))"""


def unseen(what: str) -> str:
    """The institutions of the selection that were there then, and at which nobody had looked."""
    return f"(select p.* from {PLACES_THEN} p where {HERE} and p.institution not in (select institution from {looked(what)} l))"


SEEN_OF = f"nullif((select count(*) from {PLACES_THEN} p where {HERE}), 0)"
"""of how many institutions it could be known"""


def either(now: str, then: str) -> str:
    """The figures of now, or where a past was chosen those of then. Both halves are aggregates of one row without `having`."""
    return f"{now} having not {CHOSEN} union all {then} having {CHOSEN}"
