"""The chain, its digests, and bundles that prove it without the hub: written from a real database, and then attacked."""

import asyncio
import contextlib
import json
import random
import zipfile
from collections.abc import Callable
from io import BytesIO
from typing import Any

import psycopg
import pytest

from hub.core.coverage import canonical, chain, evidence
from hub.core.coverage.signer import Signer, key_id
from hub.core.coverage.statements import iso, micros
from hub.errors import BadInput, NotFound
from hub.evidence_file import pack, read, verify
from hub.model import SECOND, Micros, to_datetime
from hub.store import evidence as stored
from hub.store.coverage import open_ledger
from hub.store.pool import connect
from tests.store.coverage_register import PROFILES, RULES, Register

T0: Micros = 1_795_000_000_000_000
DAY = 86_400 * SECOND
SIGNER, FORGER = Signer(bytes(range(32))), Signer(bytes(range(1, 33)))


@pytest.fixture(scope="module")
def bundle(database: str) -> bytes:
    """Judgements over two days, with a pause in which nobody judged and a change known late, and the digest of the first day."""
    return asyncio.run(_made(database))


async def _made(url: str) -> bytes:
    register = Register(url)
    register.city()
    register.zone("sun", "act", "activity_room")
    register.device("sun", "cam-1", "axis-camera", "act")
    register.do(
        "update device_state set admin_since = %s, link_since = %s, function_since = %s", *[to_datetime(T0 - DAY)] * 3
    )
    register.listen()
    async with open_ledger(url, PROFILES, RULES) as ledger:

        async def judge(at: Micros) -> None:
            async with ledger.judging(await ledger.subjects(), at) as judging:
                await judging.record()

        await judge(T0)
        register.do("update device_state set link_state = 'offline', link_since = %s", to_datetime(T0 + 20 * SECOND))
        await judge(T0 + 60 * SECOND)
        register.do("update device_state set link_state = 'online', link_since = %s", to_datetime(T0 + 90 * SECOND))
        await judge(T0 + 120 * SECOND)
        assert await ledger.take_digest(T0 + DAY) is not None
        assert await ledger.take_digest(T0 + DAY + SECOND) is None, "one a day"
        await judge(T0 + DAY + 3600 * SECOND)
        register.do(
            "update device_state set link_state = 'offline', link_since = %s", to_datetime(T0 + DAY + 3650 * SECOND)
        )
        await judge(T0 + DAY + 3660 * SECOND)
        await _refuses(register)
    async with open_ledger(url, PROFILES, RULES, SIGNER) as ledger:  # from now on the hub has a key
        assert await ledger.take_digest(T0 + 2 * DAY) is not None
    conn = await connect(url, "test", autocommit=True)
    async with conn:
        with pytest.raises(NotFound):
            await stored.export(conn, "nobody", to_datetime(T0), to_datetime(T0 + DAY), to_datetime(T0))
        period = to_datetime(T0 - DAY), to_datetime(T0 + 2 * DAY)
        made = await stored.export(conn, "sun", *period, to_datetime(T0 + 2 * DAY))
    register.close()
    return made


async def _refuses(register: Register) -> None:
    """Nobody rewrites the ledger, its owner neither, nor a session that calls itself a replica."""
    for mode in ("origin", "replica"):
        register.do(f"set session_replication_role = {mode}")
        for statement in (
            "update finding set verdict = 'compliant'",
            "update finding set true_to = now() where known_to is null",
            "update finding set known_to = null where known_to is not null",
            "update finding set known_to = now() where known_to is not null",
            "delete from finding",
            "delete from judgement",
            "update ledger_entry set hash = previous",
            "delete from facts",
            "update statement set sentence_zh = ''",
            "update coverage_digest set root = previous",
            "truncate finding, coverage_digest",
            "truncate facts, judgement, finding, ledger_entry",
        ):
            with pytest.raises(psycopg.errors.InsufficientPrivilege, match="never rewritten"):
                register.do(statement)
    register.do("set session_replication_role = origin")


def test_a_bundle_holds_and_every_verdict_follows_again(bundle: bytes) -> None:
    found = verify(bundle, "b.zip")
    assert list(found.faults) == []
    assert (found.subject, found.entries, found.digests) == ("sun", 5, 2)
    assert found.recomputed > 15
    files, whole = read(bundle, "b.zip")
    assert whole
    rows = [json.loads(line) for line in files[evidence.FINDINGS].splitlines()]
    assert {row["reason"] for row in rows} >= {"stale", "judged"}


def test_one_flipped_byte_anywhere_is_found(bundle: bytes) -> None:
    dice = random.Random(45)
    places = [*range(60), *range(len(bundle) - 120, len(bundle)), *dice.sample(range(len(bundle)), 60)]
    for place in places:
        other = bytearray(bundle)
        other[place] ^= 1 << dice.randrange(8)
        with contextlib.suppress(BadInput):  # what is no zip any more is refused as a whole
            assert verify(bytes(other), "b.zip").faults, f"byte {place}"


def test_a_bundle_that_is_cut_off_or_no_bundle_is_refused_by_name(bundle: bytes) -> None:
    for data in (b"", b"PK", bundle[:1000], b"\0" * 5000, bundle[-200:]):
        with pytest.raises(BadInput, match=r"b\.zip"):
            verify(data, "b.zip")


def test_a_zip_bomb_is_refused_before_it_fills_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hub.evidence_file.MOST_BYTES", 1 << 20)
    out = BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("manifest.json", b"0" * (50 << 20))
    with pytest.raises(BadInput, match="unpacks to more"):
        verify(out.getvalue(), "b.zip")


Files = dict[str, bytes]


def _rows(files: Files, name: str, change: Callable[[list[dict[str, Any]]], object]) -> None:
    rows = [json.loads(line) for line in files[name].splitlines()]
    change(rows)
    files[name] = b"".join(canonical.text(row) + b"\n" for row in rows)


def _greened(rows: list[dict[str, Any]]) -> None:
    next(row for row in rows if row["verdict"] == "non_compliant").update(verdict="compliant")


def _forged_facts(files: Files) -> None:
    """A camera that was offline is called online, and everything that names the facts by hash is made to fit."""
    name = next(n for n in files if n.startswith("facts/") and b'"offline"' in files[n])
    forged = files.pop(name).replace(b'"offline"', b'"online"')
    old, new = name[6:-5], canonical.sha256(forged).hex()
    files[f"facts/{new}.json"] = forged
    for each in (evidence.FINDINGS, evidence.JUDGEMENTS):
        files[each] = files[each].replace(old.encode(), new.encode())


@pytest.mark.parametrize(
    ("attack", "said"),
    [
        (lambda files: _rows(files, evidence.FINDINGS, _greened), "does not name the rows that are there"),
        (
            lambda files: _rows(files, evidence.FINDINGS, lambda rows: rows.pop(3)),
            "does not name the rows that are there",
        ),
        (lambda files: _rows(files, evidence.FINDINGS, lambda rows: rows.append(rows[0])), "does not name the rows"),
        (lambda files: _rows(files, evidence.ENTRIES, lambda rows: rows.pop(1)), "entry 2 is missing"),
        (lambda files: _rows(files, evidence.ENTRIES, lambda rows: rows.pop(0)), "entry 1 is missing"),
        (
            lambda files: _rows(files, evidence.ENTRIES, lambda rows: rows[0].update(known_from=rows[1]["known_from"])),
            "broken",
        ),
        (lambda files: _rows(files, evidence.DIGESTS, lambda rows: rows[0].update(subjects=9)), "digests.jsonl line 1"),
        (lambda files: _rows(files, evidence.DIGESTS, lambda rows: rows[0].update(path=[])), "not under this digest"),
        (_forged_facts, "does not name the rows that are there"),
        (lambda files: files.pop(next(n for n in files if n.startswith("statements/"))), "its statement is missing"),
        (lambda files: files.pop(evidence.ENTRIES), "has no entry 1"),
        (lambda files: files.update({evidence.FINDINGS: b"[]\nnot json\n"}), "findings.jsonl line 2: is no JSON"),
        (lambda files: files.update({evidence.JUDGEMENTS: b'{"entry": []}\n'}), "malformed"),
    ],
)
def test_what_is_forged_and_sealed_anew_is_found_by_chain_and_judge(
    bundle: bytes, attack: Callable[[Files], object], said: str
) -> None:
    files, _ = read(bundle, "b.zip")
    manifest = json.loads(files.pop(evidence.MANIFEST))
    attack(files)
    found = verify(pack("sun", manifest["from"], manifest["to"], manifest["made_at"], files), "b.zip")
    assert any(said in fault for fault in found.faults), found.faults


def _rechained(files: Files) -> None:
    """The whole chain is made anew over a forged row: only its verdict and the digest, kept elsewhere, tell."""
    rows = [json.loads(line) for line in files[evidence.FINDINGS].splitlines()]
    target = next(row for row in rows if row["verdict"] == "non_compliant" and row["known_to"] is None)
    bare = {key: value for key, value in target.items() if key not in ("entry", "known_from", "known_to", "ended_by")}
    old = canonical.digest(bare).hex()
    target["verdict"] = "compliant"
    new = canonical.digest(bare | {"verdict": "compliant"}).hex()
    files[evidence.FINDINGS] = b"".join(canonical.text(row) + b"\n" for row in rows)
    entries = [json.loads(line) for line in files[evidence.ENTRIES].splitlines()]
    previous = bytes(32).hex()
    for entry in entries:
        for name in ("findings", "ends"):
            entry[name] = sorted(new if one == old else one for one in entry[name])
        entry["previous"] = previous
        told = {key: value for key, value in entry.items() if key != "hash"}
        previous = entry["hash"] = canonical.digest(told | {"subject": "sun"}).hex()
    files[evidence.ENTRIES] = b"".join(canonical.text(entry) + b"\n" for entry in entries)


def test_a_chain_that_is_forged_as_a_whole_fails_by_the_facts_and_by_the_digest(bundle: bytes) -> None:
    files, _ = read(bundle, "b.zip")
    manifest = json.loads(files.pop(evidence.MANIFEST))
    _rechained(files)
    found = verify(pack("sun", manifest["from"], manifest["to"], manifest["made_at"], files), "b.zip")
    assert "2026-11-1" in found.period
    assert not any("chain is broken" in fault for fault in found.faults), found.faults
    assert any("follows as non_compliant from its facts" in fault for fault in found.faults)
    assert any("digests.jsonl line 1: does not stand on entry" in fault for fault in found.faults)


def _dated_back(files: Files, after: int, known_from: str) -> None:
    """What was recorded after an entry is dated `known_from`, by whoever owns the database, with a chain that fits."""
    entries = [json.loads(line) for line in files[evidence.ENTRIES].splitlines()]
    known = {entry["n"]: known_from if entry["n"] > after else entry["known_from"] for entry in entries}
    previous = bytes(32).hex()
    for entry in entries:
        entry.update(previous=previous, known_from=known[entry["n"]])
        told = {key: value for key, value in entry.items() if key != "hash"}
        previous = entry["hash"] = canonical.digest(told | {"subject": "sun"}).hex()
    files[evidence.ENTRIES] = b"".join(canonical.text(entry) + b"\n" for entry in entries)
    for name in (evidence.FINDINGS, evidence.JUDGEMENTS):
        rows = [json.loads(line) for line in files[name].splitlines()]
        for row in rows:
            row["known_from"] = known[row["entry"]]
            row["known_to"] = known[row["ended_by"]] if row["ended_by"] is not None else row["known_to"]
        files[name] = b"".join(canonical.text(row) + b"\n" for row in rows)


@pytest.mark.parametrize(
    ("kept", "said"), [(4, "known before the entry that it follows"), (3, "dated before this digest, which does not")]
)
def test_what_was_recorded_later_cannot_be_dated_back(bundle: bytes, kept: int, said: str) -> None:
    files, _ = read(bundle, "b.zip")
    manifest = json.loads(files.pop(evidence.MANIFEST))
    first, _second = (json.loads(line) for line in files[evidence.DIGESTS].splitlines())
    assert first["n"] == 3
    _rows(files, evidence.DIGESTS, lambda rows: rows.pop())  # the digest that knows it is held back
    _dated_back(files, kept, first["taken_at"])
    [fault] = verify(pack("sun", manifest["from"], manifest["to"], manifest["made_at"], files), "b.zip").faults
    assert said in fault


def test_a_bundle_whose_end_was_left_out_says_since_when_nothing_but_itself_tells_so(bundle: bytes) -> None:
    files, _ = read(bundle, "b.zip")
    manifest = json.loads(files.pop(evidence.MANIFEST))
    later = iso(micros(manifest["made_at"]) + 5 * DAY)
    for until, said in ((manifest["to"], False), (later, True)):
        found = verify(pack("sun", manifest["from"], until, later, files), "b.zip", SIGNER.public)
        assert list(found.faults) == []
        assert any("only this bundle says" in note for note in found.notes) is said
        assert until in found.period


# signatures -----------------------------------------------------------------------------------------------------------


def test_a_digest_is_signed_by_the_hubs_key_and_covers_those_before_there_was_one(bundle: bytes) -> None:
    found = verify(bundle, "b.zip", SIGNER.public)
    assert list(found.faults) == []
    assert any("entries 1 to 5 of 5" in note for note in found.notes), found.notes
    assert any("no key was given" in note for note in verify(bundle, "b.zip").notes)
    [fault] = verify(bundle, "b.zip", FORGER.public).faults[:1]
    assert f"by {key_id(FORGER.public)}" in fault


def _unsigned(rows: list[dict[str, Any]]) -> None:
    for row in rows:
        row.update(signature="", key_id="")


def _signed_by_a_forger(rows: list[dict[str, Any]]) -> None:
    rows[-1].update(signature=FORGER.sign(bytes.fromhex(rows[-1]["hash"])), key_id=key_id(SIGNER.public))


def _without_the_signed_one(rows: list[dict[str, Any]]) -> None:
    rows.pop()


def _digested_anew(rows: list[dict[str, Any]]) -> None:
    """Both digests are made anew, in their own chain, by who has the database and not the key."""
    previous = bytes(32)
    for row in rows:
        row["subjects"] += 1
        row["previous"] = previous.hex()
        told = row["day"], micros(row["taken_at"]), row["subjects"], bytes.fromhex(row["root"]), previous
        previous = chain.digest_hash(*told)
        row["hash"] = previous.hex()


@pytest.mark.parametrize(
    ("attack", "said"),
    [
        (_unsigned, "no digest is signed by the key"),
        (_signed_by_a_forger, "its signature does not hold"),
        (_without_the_signed_one, "is not signed, and no digest that follows"),
        (_digested_anew, "its signature does not hold"),
        (lambda rows: rows[0].update(previous="11" * 32), "is not what its hash says"),
        (lambda rows: rows[-1].update(signature="no hexadecimal digits"), "its signature does not hold"),
        (lambda rows: rows[-1].update(signature=7), "malformed"),
        (lambda rows: rows.clear(), "no digest is signed by the key"),
    ],
)
def test_whoever_writes_digests_anew_without_the_key_is_found(
    bundle: bytes, attack: Callable[[list[dict[str, Any]]], object], said: str
) -> None:
    files, _ = read(bundle, "b.zip")
    manifest = json.loads(files.pop(evidence.MANIFEST))
    _rows(files, evidence.DIGESTS, attack)
    forged = pack("sun", manifest["from"], manifest["to"], manifest["made_at"], files)
    assert any(said in fault for fault in verify(forged, "b.zip", SIGNER.public).faults)
