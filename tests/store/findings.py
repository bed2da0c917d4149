"""Findings put straight into the ledger's tables, for tests of what reads them. They stand outside of the chain, as from before there was one."""

from datetime import datetime
from typing import Any

import psycopg
from psycopg.types.json import Jsonb

CITATION = {"clause_id": "VID-01", "document": "某标准", "number": "GB 1", "clause": "4.2", "force": "NORM"}


def add_finding(
    conn: psycopg.Connection[Any],
    *,
    subject: str,
    rule: str = "r",
    basis: str = "obligation",
    verdict: str = "compliant",
    module: str = "other",
    since: datetime | str = "now",
    until: datetime | str | None = None,
    pack: str = "national",
    citation: dict[str, Any] | None = None,
    sentence: tuple[str, str] = ("一句话", "A sentence"),
    evidence: list[Any] | None = None,
    plan_not_signed: bool = False,
) -> None:
    """One row; `subject` is an institution's id or `register:<filing number>`, which must be there."""
    said = {
        "pack": pack,
        "citation": Jsonb(citation or CITATION),
        "zh": sentence[0],
        "en": sentence[1],
        "evidence": Jsonb(evidence or []),
    }
    place = {
        "subject": subject,
        "rule": rule,
        "basis": basis,
        "verdict": verdict,
        "module": module,
        "plan": plan_not_signed,
    }
    conn.execute(
        """with said as (
               select sha256(convert_to(%(pack)s || %(citation)s::jsonb::text || %(zh)s || %(en)s || %(evidence)s::jsonb::text, 'UTF8')) as hash
           ), kept as (
               insert into statement select hash, %(pack)s, '1', %(citation)s, %(zh)s, %(en)s, %(evidence)s from said on conflict do nothing
           )
           insert into finding (subject, institution, filing_number, rule, basis, module, verdict, reason, plan_not_signed, statement, true_from,
                                true_to, verdict_since)
           select %(subject)s, (select key from institution where id::text = %(subject)s),
                  case when %(subject)s like 'register:%%' then substr(%(subject)s, 10) end, %(rule)s, %(basis)s, %(module)s, %(verdict)s, 'judged',
                  %(plan)s, hash, %(since)s, %(until)s, %(since)s from said""",
        said | place | {"since": since, "until": until},
    )
