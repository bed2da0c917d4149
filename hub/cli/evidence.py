"""`anxin evidence`: a bundle that proves an institution's coverage over a period, and its check on any machine, without a database.

Exit codes: 0 it holds, 1 it does not, 2 it cannot be read or made; every line says which file and row.
"""

import asyncio
import os
import sys
from datetime import UTC, date, datetime, timedelta, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hub.config import load_settings
from hub.errors import AnxinError, BadInput

if TYPE_CHECKING:
    from hub.core.coverage.evidence import Checked

app = typer.Typer(help="证据 Evidence of coverage, checked without the hub.", no_args_is_help=True)
_CHINA = timezone(timedelta(hours=8))
_DIGITS = 64


@app.command("export")
def export(
    institution: Annotated[str, typer.Option(help="an institution's id, or register:<filing number>")],
    first: Annotated[str, typer.Option("--from", help="the first day, 2026-03-01 (+08:00)")],
    last: Annotated[str, typer.Option("--to", help="the last day, included")],
    out: Annotated[Path | None, typer.Option(help="the file; <institution>_<from>_<to>.zip when left out")] = None,
) -> None:
    """导出证据 Write the bundle: rules as judged, facts, findings, the whole chain, digests, and a manifest."""
    from hub.store import evidence
    from hub.store.pool import connect

    async def make() -> bytes:
        since, until = _midnight(first, "--from"), _midnight(last, "--to") + timedelta(days=1)
        conn = await connect(load_settings().database_url.get_secret_value(), "evidence", autocommit=True)
        async with conn:
            return await evidence.export(conn, institution, since, until, datetime.now(UTC))

    try:
        data = asyncio.run(make())
        place = out or Path(f"{institution.replace(':', '-')}_{first}_{last}.zip")
        place.write_bytes(data)
    except (AnxinError, OSError) as error:
        print(f"anxin: {error}", file=sys.stderr)
        raise typer.Exit(2) from None
    print(f"{place}: {len(data)} bytes")


@app.command("verify")
def verify(
    file: Annotated[Path, typer.Argument(help="a bundle")],
    key: Annotated[
        str | None,
        typer.Option(
            help="the hub's public key, 64 hexadecimal digits or a file of them: digests must be signed by it"
        ),
    ] = None,
) -> None:
    """核验证据 Check a bundle: every byte, the chain, the digests, and that every verdict follows again from its facts and rules."""
    from hub.evidence_file import MOST_BYTES
    from hub.evidence_file import verify as checked

    try:
        if file.stat().st_size > MOST_BYTES:
            raise BadInput(f"is larger than {MOST_BYTES >> 20} MB", str(file), code="evidence")
        found = checked(file.read_bytes(), str(file), None if key is None else _public(key))
    except (AnxinError, OSError) as error:
        print(f"anxin: {error}", file=sys.stderr)
        raise typer.Exit(2) from None
    _say(found)
    if found.faults:
        raise typer.Exit(1)


@app.command("key")
def key(new: Annotated[bool, typer.Option("--new", help="make a new pair and print both")] = False) -> None:
    """公钥 The public key of ANXIN_LEDGER_KEY, by which the daily digests are signed; keep it where the database's owner cannot change it."""
    from hub.core.coverage.signer import Signer, key_id, key_of

    try:
        if new:
            private = os.urandom(32)
            print(f"private, for ANXIN_LEDGER_KEY: {private.hex()}")
        else:
            settings = load_settings()
            if settings.ledger_key is None:
                raise BadInput("is not set: the digests of this hub are unsigned", "ANXIN_LEDGER_KEY", code="settings")
            private = key_of(settings.ledger_key.get_secret_value(), "ANXIN_LEDGER_KEY")
    except AnxinError as error:
        print(f"anxin: {error}", file=sys.stderr)
        raise typer.Exit(2) from None
    public = Signer(private).public
    print(f"public {key_id(public)}: {public.hex()}")


def _public(given: str) -> bytes:
    """A public key as it was given, or from the file of that name; raises BadInput."""
    from hub.core.coverage.signer import key_of

    place = Path(given)
    if len(given) != _DIGITS and place.is_file():
        return key_of(place.read_text("utf-8", errors="replace")[:1000], given)
    return key_of(given, "--key")


def _say(found: "Checked") -> None:
    for fault in found.faults:
        print(f"不符 wrong  {fault}", file=sys.stderr)
    for note in found.notes:
        print(f"注意 note   {note}")
    word = "不成立 does NOT hold" if found.faults else "成立 holds"
    print(f"{found.subject}: {word}" + (f" ({found.period})" if found.period else ""))
    print(
        f"{found.entries} entries, {found.findings} rows, {found.recomputed} verdicts recomputed,"
        f" {found.digests} digests, {len(found.faults)} faults"
    )


def _midnight(day: str, where: str) -> datetime:
    try:
        return datetime.combine(date.fromisoformat(day), datetime.min.time(), _CHINA)
    except ValueError:
        raise BadInput("a day is written 2026-03-01", where, code="evidence") from None
