"""Evidence that is checked without a database: is it whole, is its chain unbroken, does every verdict follow again from the facts and packs in it?

Works on the files of a bundle by name, already read. Pure. What it finds wrong it says by file and row; it never stops at the first.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from hub.core.coverage import canonical, chain
from hub.core.coverage.chain import GENESIS, Entry
from hub.core.coverage.rulebook import Rulebook
from hub.core.coverage.signer import is_signed, key_id
from hub.core.coverage.snapshot import Snapshot, from_plain
from hub.core.coverage.statements import iso, micros
from hub.errors import BadInput
from hub.model import SECOND, Micros

FORMAT = 1
MANIFEST, ENTRIES, FINDINGS, JUDGEMENTS, DIGESTS = (
    "manifest.json",
    "entries.jsonl",
    "findings.jsonl",
    "judgements.jsonl",
    "digests.jsonl",
)
FOLDERS = ("packs", "facts", "statements")
_USUAL_TAIL: Micros = 2 * 86_400 * SECOND
"""a digest is taken every day: a bundle that goes on for longer without one may lack its end"""
MOST_FAULTS = 50
"""said of one bundle; what is worse than that needs no longer list"""


class Checked(NamedTuple):
    """What a bundle turned out to be. It holds where `faults` is empty; `notes` are what somebody should know all the same."""

    subject: str
    period: str
    """from when to when it is of, and when it was made, as it says itself"""
    entries: int
    findings: int
    recomputed: int
    digests: int
    faults: Sequence[str]
    notes: Sequence[str]


class _Faults(Exception):
    pass


class _Check:
    def __init__(self, files: Mapping[str, bytes], key: bytes | None) -> None:
        self.files = files
        self.key = key
        self.faults: list[str] = []
        self.notes: list[str] = []
        self.recomputed = 0
        self._snapshots: dict[str, Snapshot | None] = {}
        self._judged: dict[tuple[str, str, Micros], dict[str, Any]] = {}
        self._rules: Rulebook | None = None

    def fault(self, where: str, what: str) -> None:
        self.faults.append(f"{where}: {what}")
        if len(self.faults) >= MOST_FAULTS:
            raise _Faults

    # reading ------------------------------------------------------------------------------------------------------

    def document(self, name: str) -> Any:
        try:
            return json.loads(self.files[name])
        except KeyError:
            self.fault(name, "is missing")
        except (ValueError, RecursionError):
            self.fault(name, "is no JSON")
        return None

    def lines(self, name: str) -> Iterator[tuple[str, dict[str, Any]]]:
        for n, line in enumerate(self.files.get(name, b"").splitlines(), 1):
            where = f"{name} line {n}"
            try:
                found = json.loads(line)
            except (ValueError, RecursionError):
                self.fault(where, "is no JSON")
                continue
            if not isinstance(found, dict):
                self.fault(where, "is no object")
                continue
            yield where, found

    def manifest(self) -> dict[str, Any]:
        found = self.document(MANIFEST)
        if not isinstance(found, dict) or found.get("format") != FORMAT or not isinstance(found.get("files"), dict):
            self.fault(MANIFEST, f"is no manifest of format {FORMAT}")
            raise _Faults
        named: dict[str, Any] = found["files"]
        for name in sorted(named.keys() | self.files.keys() - {MANIFEST}):
            if name not in self.files:
                self.fault(name, "is in the manifest and not in the bundle")
            elif name not in named:
                self.fault(name, "is in the bundle and not in the manifest")
            elif canonical.sha256(self.files[name]).hex() != named[name]:
                self.fault(name, "is not what its SHA-256 in the manifest says: it was changed")
            elif name.partition("/")[0] in FOLDERS and canonical.sha256(self.files[name]).hex() != _stem(name):
                self.fault(name, "is not what its name says")
        return found

    # the chain ----------------------------------------------------------------------------------------------------

    def chain(
        self, subject: str, rows: Mapping[int, Sequence[str]], spans: Mapping[int, Sequence[str]]
    ) -> dict[int, dict[str, Any]]:
        entries: dict[int, dict[str, Any]] = {}
        previous = GENESIS
        for where, entry in self.lines(ENTRIES):
            n = len(entries) + 1
            if entry.get("n") != n:
                self.fault(where, f"entry {n} is missing, or not in its place")
                raise _Faults
            if n > 1 and entry["known_from"] < entries[n - 1]["known_from"]:
                self.fault(where, "is known before the entry that it follows: it was dated back")
            entries[n] = entry
            found = sorted(rows.get(n, ())), sorted(spans.get(n, ()))
            if (entry["findings"], entry["judgements"]) != found:
                self.fault(where, "does not name the rows that are there: one was changed, added or left out")
            link = Entry(
                subject,
                n,
                micros(entry["known_from"]),
                entry["findings"],
                entry["judgements"],
                entry["ends"],
                entry["ends_judgements"],
            )
            if entry["previous"] != previous.hex() or entry["hash"] != link.hash(previous).hex():
                self.fault(where, "the chain is broken here")
            previous = bytes.fromhex(entry["hash"])
        for n in (rows.keys() | spans.keys()) - entries.keys():
            self.fault(ENTRIES, f"has no entry {n}, and rows of it are there")
        return entries

    def ends(
        self, kind: str, rows: Sequence[tuple[str, dict[str, Any], str]], entries: Mapping[int, dict[str, Any]]
    ) -> None:
        """Every row is known until an entry ends it, and until no other time."""
        ended: dict[tuple[int, str], int] = {}
        for n, entry in entries.items():
            for one in entry[kind]:
                ended[n, one] = ended.get((n, one), 0) + 1
        for where, row, hash in rows:
            by = row["ended_by"]
            if by is None:
                if row["known_to"] is not None:
                    self.fault(where, "ends in no entry")
                continue
            if ended.get((by, hash), 0) < 1 or row["known_to"] != entries[by]["known_from"]:
                self.fault(where, f"entry {by} does not end it, or at another time")
                continue
            ended[by, hash] -= 1
        for (n, one), left in ended.items():
            if left and not one.startswith("before:"):
                self.fault(ENTRIES, f"entry {n} ends row {one[:12]}, which does not say so")

    # verdicts -----------------------------------------------------------------------------------------------------

    def snapshot(self, hash: str, where: str) -> Snapshot | None:
        if hash not in self._snapshots:
            document = self.document(f"facts/{hash}.json")
            self._snapshots[hash] = None if document is None else from_plain(document, f"facts/{hash}.json")
        return self._snapshots[hash]

    def rules(self, hash: str) -> Rulebook:
        if self._rules is None:
            self._rules = Rulebook(())
        packs = bytes.fromhex(hash)
        if not self._rules.knows(packs):
            self._rules.learn(packs, self.files[f"packs/{hash}.json"])
        return self._rules

    def judged(self, facts: str, packs: str, at: Micros, where: str) -> dict[str, Any] | None:
        """What the rules say of these facts, by rule."""
        key = facts, packs, at
        if key not in self._judged:
            kept = self.snapshot(facts, where)
            if kept is None:
                return None
            found = self.rules(packs).findings(bytes.fromhex(packs), kept, at)
            self._judged[key] = {
                one.rule.id: (one.verdict.value, one.reason, one.basis.value, one.module.value, one.plan_not_signed)
                for one in found
            }
        return self._judged[key]

    def verdict(self, where: str, row: Mapping[str, Any], first: str | None) -> None:
        if row["facts"] is None:
            doubted = (row["verdict"], row["reason"]) == ("unknown", "stale")
            older = row["true_to"] is not None and (first is None or row["true_to"] <= first)
            if not doubted and not older:
                self.fault(where, f"rule {row['rule']}: rests on no facts")
            return
        if f"statements/{row['statement']}.json" not in self.files:
            self.fault(where, f"rule {row['rule']}: its statement is missing")
        said = row["verdict"], row["reason"], row["basis"], row["module"], row["plan_not_signed"]
        found = self.judged(row["facts"], row["packs"], micros(row["judged_at"]), where)
        if found is not None and found.get(row["rule"]) != said:
            other = (found.get(row["rule"]) or ("nothing",))[0]
            self.fault(where, f"rule {row['rule']}: says {row['verdict']}, and follows as {other} from its facts")
        self.recomputed += 1

    def whole(self, where: str, span: Mapping[str, Any], rows: Sequence[tuple[str, dict[str, Any], str]]) -> None:
        """Every rule that judged these facts is there, and says what it found, as known when they were recorded."""
        found = self.judged(span["facts"], span["packs"], micros(span["true_from"]), where)
        if found is None:
            return
        at, known = span["true_from"], span["known_from"]
        there = {row["rule"]: row["verdict"] for _, row, _ in rows if _holds(row, at, known)}
        for rule, (verdict, *_) in found.items():
            if there.get(rule) != verdict:
                self.fault(where, f"rule {rule} said {verdict} of these facts, and no row says so")

    # digests ------------------------------------------------------------------------------------------------------

    def digests(self, subject: str, entries: Mapping[int, dict[str, Any]]) -> int:
        seen = 0
        signed: list[tuple[str, dict[str, Any]]] = []
        for where, row in self.lines(DIGESTS):
            seen += 1
            signed.append((where, row))
            root, previous = bytes.fromhex(row["root"]), bytes.fromhex(row["previous"])
            told = chain.digest_hash(row["day"], micros(row["taken_at"]), row["subjects"], root, previous)
            if told.hex() != row["hash"]:
                self.fault(where, "is not what its hash says")
            entry = entries.get(row["n"])
            if entry is None or entry["hash"] != row["head"] or entry["known_from"] > row["taken_at"]:
                self.fault(where, f"does not stand on entry {row['n']}")
                continue
            after = entries.get(row["n"] + 1)
            if after is not None and after["known_from"] <= row["taken_at"]:
                self.fault(where, f"entry {row['n'] + 1} is dated before this digest, which does not know it")
            steps = [(side, bytes.fromhex(beside)) for side, beside in row["path"]]
            if chain.climb(chain.leaf(subject, row["n"], bytes.fromhex(row["head"])), steps) != root:
                self.fault(where, "the chain is not under this digest")
        self.signatures(signed, entries)
        return seen

    def tail(self, until: str, entries: int) -> None:
        """Says since when only the bundle itself tells that nothing was left out at its end."""
        last = max((micros(row["taken_at"]) for _, row in self.lines(DIGESTS)), default=None)
        if entries and last is not None and micros(until) - last > _USUAL_TAIL:
            self.notes.append(
                f"the last digest was taken {iso(last)}: that nothing later was left out, only this bundle says"
            )

    def signatures(self, digests: Sequence[tuple[str, dict[str, Any]]], entries: Mapping[int, dict[str, Any]]) -> None:
        """Every digest is signed by the key that was given, or one after it is whose chain of digests leads back to it."""
        if self.key is None:
            some = sum(bool(row["signature"]) for _, row in digests)
            if digests:
                told = f"{some} of {len(digests)} digests are signed, and no key was given to check them"
                self.notes.append(
                    told if some else "no digest is signed: whoever owns the database could have written them anew"
                )
            return
        covered: str | None = None
        """the digest before the last one that holds, which that one covers"""
        reached, until = 0, ""
        for where, row in reversed(digests):
            mine = row["signature"] and row["key_id"] == key_id(self.key)
            holds = mine and is_signed(bytes.fromhex(row["hash"]), row["signature"], self.key)
            if mine and not holds:
                self.fault(where, "its signature does not hold")
            elif not holds and covered != row["hash"]:
                whose = f"is signed by another key, {row['key_id'][:16]!r}" if row["signature"] else "is not signed"
                self.fault(where, f"{whose}, and no digest that follows is signed by {key_id(self.key)} and covers it")
                continue
            covered = row["previous"]
            if not reached:
                reached, until = row["n"], row["day"]
        if not reached:
            self.fault(DIGESTS, "no digest is signed by the key that was given")
        else:
            self.notes.append(f"signed until {until}: entries 1 to {reached} of {len(entries)}")


def _stem(name: str) -> str:
    return name.rpartition("/")[2].removesuffix(".json")


def _holds(row: Mapping[str, Any], at: str, known: str) -> bool:
    true = row["true_from"] <= at and (row["true_to"] is None or at < row["true_to"])
    return true and row["known_from"] <= known and (row["known_to"] is None or known < row["known_to"])


_KNOWN = ("entry", "known_from", "known_to", "ended_by")
"""keys of a row that its own hash does not cover: the chain does"""


def check(files: Mapping[str, bytes], key: bytes | None = None) -> Checked:
    """Everything about a bundle. Never raises for what is in it: whatever it is, it is said as a fault.

    `key`: the hub's public key (32 bytes), by which digests must be signed; without it signatures are not looked at, which is a note.
    """
    run = _Check(files, key)
    subject, period, entries, rows, digests = (
        "",
        "",
        dict[int, dict[str, Any]](),
        list[tuple[str, dict[str, Any], str]](),
        0,
    )
    try:
        manifest = run.manifest()
        subject = str(manifest["subject"])
        since, until = str(manifest["from"]), str(manifest["to"])
        period = f"{since} – {until}, made {manifest['made_at']}"
        rows = [(where, row, _hash(row)) for where, row in run.lines(FINDINGS)]
        spans = [(where, row, _hash(row)) for where, row in run.lines(JUDGEMENTS)]
        entries = run.chain(subject, _by_entry(rows), _by_entry(spans))
        run.ends("ends", rows, entries)
        run.ends("ends_judgements", spans, entries)
        for where, row, _ in [*rows, *spans]:
            if row["subject"] != subject or row["known_from"] != entries[row["entry"]]["known_from"]:
                run.fault(where, "is another's, or known from another time than its entry")
        first = min((row["true_from"] for _, row, _ in spans), default=None)
        for where, row, _ in rows:
            if _within(row, since, until):
                run.verdict(where, row, first)
        for where, row, _ in spans:
            if _within(row, since, until):
                run.whole(where, row, rows)
        digests = run.digests(subject, entries)
        if not digests:
            run.notes.append("no digest stands over this chain yet")
        run.tail(min(until, str(manifest["made_at"])), len(entries))
    except _Faults:
        pass
    except (BadInput, KeyError, TypeError, ValueError, AttributeError, RecursionError, OverflowError) as error:
        run.faults.append(f"bundle: is malformed ({type(error).__name__}: {str(error)[:200]})")
    return Checked(subject, period, len(entries), len(rows), run.recomputed, digests, run.faults, run.notes)


def _hash(row: Mapping[str, Any]) -> str:
    return canonical.digest({key: value for key, value in row.items() if key not in _KNOWN}).hex()


def _by_entry(rows: Sequence[tuple[str, dict[str, Any], str]]) -> dict[int, list[str]]:
    out: dict[int, list[str]] = {}
    for _, row, hash in rows:
        out.setdefault(row["entry"], []).append(hash)
    return out


def _within(row: Mapping[str, Any], since: str, until: str) -> bool:
    return bool(row["true_from"] < until and (row["true_to"] is None or row["true_to"] > since))
