"""Evidence of one subject as the files of a bundle, and the daily digest over all chains. Read only, but for the digest."""

from collections.abc import Sequence
from datetime import date, datetime, timedelta, timezone
from typing import Any

import structlog

from hub.core.coverage import canonical, chain, evidence
from hub.core.coverage.signer import Signer, key_id
from hub.core.coverage.statements import iso
from hub.errors import BadInput, NotFound
from hub.evidence_file import MOST_BYTES, lines, pack
from hub.model import Micros, to_datetime, to_micros
from hub.store.ledger_rows import inflate
from hub.store.pool import Connection
from hub.store.queries import queries
from hub.store.rows import Row, all_rows, one_row

_SQL = queries("evidence")
_log = structlog.get_logger(__name__)
MOST_ROWS = 500_000
"""of one subject in one bundle; some ten years of a busy one"""
_CHINA = timezone(timedelta(hours=8))


async def export(conn: Connection, subject: str, since: datetime, until: datetime, now: datetime) -> bytes:
    """The bundle of a subject over [since, until): the whole chain, with the facts, packs and statements of that time.

    In one snapshot of the database. Raises NotFound where nothing was ever recorded of it, BadInput where it would be too large.
    """
    if since >= until:
        raise BadInput("the period ends before it begins", "--to", code="evidence")
    async with conn.transaction():
        await conn.execute("set transaction isolation level repeatable read, read only")
        asked = {"subject": subject, "most": MOST_ROWS + 1}
        entries = await all_rows(conn, _SQL["entries"], asked)
        if not entries:
            raise NotFound(f"nothing is recorded of {subject!r}")
        found = await all_rows(conn, _SQL["findings"], asked)
        spans = await all_rows(conn, _SQL["judgements"], asked)
        if max(len(entries), len(found), len(spans)) > MOST_ROWS:
            raise BadInput(f"more than {MOST_ROWS} rows", subject, code="evidence")
        files = _chain(subject, entries, found, spans)
        meant = [
            row
            for row in [*found, *spans]
            if row["true_from"] < until and (row["true_to"] is None or row["true_to"] > since)
        ]
        files |= await _texts(conn, meant)
        files[evidence.DIGESTS] = lines(await _digests(conn, subject, entries, since))
    if sum(map(len, files.values())) > MOST_BYTES:
        raise BadInput(f"more than {MOST_BYTES >> 20} MB: ask for a shorter period", subject, code="evidence")
    return pack(subject, _iso(since), _iso(until), _iso(now), files)


def _chain(subject: str, entries: Sequence[Row], found: Sequence[Row], spans: Sequence[Row]) -> dict[str, bytes]:
    """Entries, findings and judgements. What was written before there was a chain (entry 0) is not among them."""
    rows = [(row, _finding(subject, row)) for row in found if row["entry"] > 0]
    judged = [(row, _judgement(subject, row)) for row in spans]
    named = {
        name: {row["n"]: list[str]() for row in entries}
        for name in ("findings", "judgements", "ends", "ends_judgements")
    }
    for kind, ends, given in (("findings", "ends", rows), ("judgements", "ends_judgements", judged)):
        for row, content in given:
            hash = canonical.digest(content).hex()
            named[kind][row["entry"]].append(hash)
            if row["ended_by"] is not None:
                named[ends][row["ended_by"]].append(hash)
    for row in found:
        if row["entry"] == 0 and row["ended_by"] is not None:
            named["ends"][row["ended_by"]].append(f"before:{row['key']}")
    written = [
        {
            "n": row["n"],
            "known_from": _iso(row["known_from"]),
            "previous": row["previous"].hex(),
            "hash": row["hash"].hex(),
            **{name: sorted(of[row["n"]]) for name, of in named.items()},
        }
        for row in entries
    ]
    return {
        evidence.ENTRIES: lines(written),
        evidence.FINDINGS: lines([content | _known(row) for row, content in rows]),
        evidence.JUDGEMENTS: lines([content | _known(row) for row, content in judged]),
    }


def _finding(subject: str, row: Row) -> dict[str, Any]:
    kept = ("rule", "basis", "module", "verdict", "reason", "plan_not_signed")
    hexes = ("statement", "essence", "facts", "packs")
    times = ("judged_at", "true_from", "true_to", "verdict_since")
    return {
        "subject": subject,
        **{key: row[key] for key in kept},
        **{key: None if row[key] is None else row[key].hex() for key in hexes},
        **{key: _iso(row[key]) for key in times},
    }


def _judgement(subject: str, row: Row) -> dict[str, Any]:
    hexes = {key: row[key].hex() for key in ("facts", "packs")}
    return {"subject": subject, "true_from": _iso(row["true_from"]), "true_to": _iso(row["true_to"]), **hexes}


def _known(row: Row) -> dict[str, Any]:
    times = {key: _iso(row[key]) for key in ("known_from", "known_to")}
    return {"entry": row["entry"], "ended_by": row["ended_by"], **times}


async def _texts(conn: Connection, meant: Sequence[Row]) -> dict[str, bytes]:
    def named(key: str) -> dict[str, list[bytes]]:
        return {"hashes": list({row[key] for row in meant if row.get(key) is not None})}

    files = {
        f"facts/{row['hash'].hex()}.json": inflate(row["body"])
        for row in await all_rows(conn, _SQL["facts"], named("facts"))
    }
    for row in await all_rows(conn, _SQL["packs"], named("packs")):
        files[f"packs/{row['hash'].hex()}.json"] = inflate(row["body"])
    for row in await all_rows(conn, _SQL["statements"], named("statement")):
        text, name = canonical.text({key: value for key, value in row.items() if key != "hash"}), row["hash"].hex()
        if canonical.sha256(text).hex() == name:  # those from before there was a chain are named otherwise
            files[f"statements/{name}.json"] = text
    return files


async def _digests(conn: Connection, subject: str, entries: Sequence[Row], since: datetime) -> list[dict[str, Any]]:
    out = []
    for row in await all_rows(conn, _SQL["digests"], {"since": since}):
        heads = await all_rows(conn, _SQL["heads"], {"at": row["taken_at"]})
        place = next((n for n, head in enumerate(heads) if head["subject"] == subject), None)
        if place is None:
            continue
        path = chain.path([chain.leaf(head["subject"], head["n"], head["hash"]) for head in heads], place)
        told = {key: row[key].hex() for key in ("root", "previous", "hash")}
        about = {key: row[key] for key in ("subjects", "signature", "key_id")}
        days = {"day": row["day"].isoformat(), "taken_at": _iso(row["taken_at"])}
        proof = {
            "n": heads[place]["n"],
            "head": heads[place]["hash"].hex(),
            "path": [[side, one.hex()] for side, one in path],
        }
        out.append(days | about | told | proof)
    return out


async def take_digest(conn: Connection, at: Micros, signer: Signer | None = None) -> date | None:
    """Take the digest of the day before (+08:00) unless it is taken; the day, None where there was nothing to do. Unsigned without a `signer`.

    In the caller's transaction, under the judge's lock: nothing is recorded meanwhile that would be dated before it.
    """
    day = to_datetime(at).astimezone(_CHINA).date() - timedelta(days=1)
    last = await one_row(conn, _SQL["last_digest"])
    if last is not None and last["day"] >= day:
        return None
    newest = await one_row(conn, _SQL["newest_entry"])
    if newest is None or newest["known_from"] is None:
        return None
    taken_at = max(at, to_micros(newest["known_from"]))
    heads = await all_rows(conn, _SQL["heads"], {"at": to_datetime(taken_at)})
    root = chain.root([chain.leaf(head["subject"], head["n"], head["hash"]) for head in heads])
    previous = chain.GENESIS if last is None else bytes(last["hash"])
    hash = chain.digest_hash(day.isoformat(), taken_at, len(heads), root, previous)
    told: dict[str, Any] = {"day": day, "taken_at": to_datetime(taken_at), "subjects": len(heads), "root": root}
    told |= {"previous": previous, "hash": hash}
    signature = "" if signer is None else signer.sign(hash)
    name = "" if signer is None else key_id(signer.public)
    await conn.execute(_SQL["take_digest"], told | {"signature": signature, "key_id": name})
    seen = {"day": day.isoformat(), "subjects": len(heads), "digest": hash.hex()}
    _log.info("coverage.digest", **seen, signature=signature or "unsigned", key=name or "none")
    return day


def _iso(moment: datetime | None) -> Any:
    return None if moment is None else iso(to_micros(moment))
