"""What a finding says, as plain data that is kept: citation, sentences, evidence. Pure.

Two findings say the same when only readings and their times differ: a camera that was heard again says nothing new.
"""

import json
import math
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, NamedTuple

from hub.core.coverage import canonical
from hub.core.coverage.findings import DeviceEvidence, FactEvidence, Finding, Part
from hub.core.coverage.rules import Rule
from hub.core.coverage.snapshot import Snapshot, Texts
from hub.model import Micros, to_datetime, to_micros


class Statement(NamedTuple):
    """What is kept of a finding's content: its keys with the canonical texts of what is nested."""

    pack: str
    pack_version: str
    citation: str
    """canonical JSON"""
    sentence_zh: str
    sentence_en: str
    evidence: str
    """canonical JSON"""
    clause_id: str

    def text(self) -> str:
        """The canonical text of the content; its SHA-256 names the statement."""
        return (
            f'{{"citation":{self.citation},"evidence":{self.evidence},"pack":{_string(self.pack)}'
            f',"pack_version":{_string(self.pack_version)},"sentence_en":{_string(self.sentence_en)}'
            f',"sentence_zh":{_string(self.sentence_zh)}}}'
        )


class Said(NamedTuple):
    """What a rule said, and what that rests on. `facts` and `packs` name what was judged at `judged_at`; nothing where nobody judged."""

    basis: str
    module: str
    verdict: str
    reason: str
    plan_not_signed: bool
    statement: bytes
    essence: bytes | None
    facts: bytes | None
    packs: bytes | None
    judged_at: Micros | None

    def says_the_same(self, other: "Said") -> bool:
        """Whether another row would only repeat this one."""
        mine, theirs = (self.verdict, self.reason, self.essence), (other.verdict, other.reason, other.essence)
        return self is other or self == other or (self.essence is not None and mine == theirs)


class Shelf:
    """What rows name by hash: the texts of facts and statements that a judgement made. Each is written once, wherever it is named."""

    def __init__(self) -> None:
        self.facts: dict[bytes, bytes] = {}
        self.statements: dict[bytes, Statement] = {}
        self._known: dict[int, tuple[Snapshot, bytes]] = {}
        self._texts = Texts()
        self._told: dict[str, tuple[Finding, bytes, bytes]] = {}
        """by rule what it found last, and the names of its statement and essence: from moment to moment most find the same"""

    def keep(self, kept: Snapshot) -> bytes:
        """The name of a snapshot."""
        known = self._known.get(id(kept))
        if known is None:
            text = self._texts.body(kept)
            known = self._known[id(kept)] = kept, canonical.sha256(text)
            self.facts[known[1]] = text
        return known[1]

    def said(self, finding: Finding, kept: Snapshot, packs: bytes, at: Micros) -> Said:
        """A finding as it is kept, judged at `at` from these facts and packs."""
        known = self._told.get(finding.rule.id)
        if known is None or not _is_as(known[0], finding):
            statement, lasting = _told(finding)
            name = canonical.sha256(statement.text().encode())
            self.statements[name] = statement
            known = self._told[finding.rule.id] = finding, name, _essence(finding, statement, lasting)
        _, name, its_essence = known
        return Said(
            basis=finding.basis.value,
            module=finding.module.value,
            verdict=finding.verdict.value,
            reason=finding.reason,
            plan_not_signed=finding.plan_not_signed,
            statement=name,
            essence=its_essence,
            facts=self.keep(kept),
            packs=packs,
            judged_at=at,
        )

    def doubted(self, said: Said, content: Mapping[str, Any], zh: str, en: str) -> Said:
        """Unknown in the place of what nobody judged; `content` is what was said before, as plain data."""
        citation, evidence = (canonical.text(content[key]).decode() for key in ("citation", "evidence"))
        packs = content["pack"], content["pack_version"]
        doubt = Statement(*packs, citation, zh, en, evidence, content["citation"]["clause_id"])
        name = canonical.sha256(doubt.text().encode())
        self.statements[name] = doubt
        changed = said._replace(verdict="unknown", reason="stale", statement=name, essence=None)
        return changed._replace(facts=None, packs=None, judged_at=None)


def _is_as(one: Finding, other: Finding) -> bool:
    """Whether both would be told in the same words; as plain tuples, which costs a tenth of telling."""
    if one.rule is not other.rule:
        return False
    mine, theirs = (
        (
            its.verdict,
            its.reason,
            its.parts,
            its.sentence_zh,
            its.sentence_en,
            its.plan_not_signed,
            its.pack,
            its.pack_version,
        )
        for its in (one, other)
    )
    return mine == theirs


def essence(finding: Finding) -> bytes:
    """What tells whether a finding says something new: all of its content but readings and their times."""
    statement, lasting = _told(finding)
    return _essence(finding, statement, lasting)


def _essence(finding: Finding, statement: Statement, lasting: str) -> bytes:
    said = f"{_string(finding.rule.id)},{_string(finding.verdict)},{_string(finding.reason)},{_word(finding.plan_not_signed)}"
    return canonical.sha256(f"[{said},{statement._replace(evidence=lasting).text()}]".encode())


# Every finding of a province is told: canonical text is put together here piece by piece, a tenth of the time of making plain data, going through it
# for whole floats and handing it to the encoder, twice (measured). A property holds it to `canonical.text`.

_string: Callable[[str], str] = json.encoder.encode_basestring


def _told(finding: Finding) -> tuple[Statement, str]:
    """The content of a finding (which rule of which pack, what it cites, the sentences, the evidence), and the evidence without readings and times."""
    full: list[str] = []
    lasting: list[str] = []
    for part in finding.parts:
        head, tail = _part(part)
        devices = [_device(row) for row in part.devices]
        rows = [_fact(row) for row in part.facts]
        for out, n in ((full, 0), (lasting, 1)):
            out.append(
                f'{{"devices":[{",".join([one[n] for one in devices])}],"facts":[{",".join([one[n] for one in rows])}],{head}{tail}'
            )
    rule = finding.rule
    statement = Statement(
        finding.pack,
        finding.pack_version,
        _citation(rule),
        finding.sentence_zh,
        finding.sentence_en,
        f"[{','.join(full)}]",
        rule.clause_id,
    )
    return statement, f"[{','.join(lasting)}]"


def _citation(rule: Rule) -> str:
    """What a finding cites, kept with it: a rule may read otherwise next year."""
    return (
        f'{{"clause":{_string(rule.clause)},"clause_id":{_string(rule.clause_id)},"confidence":{_string(rule.confidence)}'
        f',"days_to_remedy":{_number(rule.days_to_remedy)},"document":{_string(rule.document)},"force":{_string(rule.force)}'
        f',"number":{_string(rule.number)},"title_en":{_string(rule.title_en)},"title_zh":{_string(rule.title_zh)}}}'
    )


def _part(part: Part) -> tuple[str, str]:
    zone = part.zone
    zoned = (
        ("null",) * 4
        if zone is None
        else (_string(zone.purpose), _string(zone.title_en), _string(zone.title_zh), _string(zone.id))
    )
    purpose, title_en, title_zh, id = zoned
    head = f'"needed":{_number(part.needed)},"place":{_string(part.place)},"proven":{_number(part.proven)},"purpose":{purpose}'
    tail = f',"title_en":{title_en},"title_zh":{title_zh},"unknown":{_number(part.unknown)},"verdict":{_string(part.verdict)},"zone":{id}}}'
    return head, tail


def _device(row: DeviceEvidence) -> tuple[str, str]:
    by, counts, device = _string(row.by), _string(row.contribution), _string(row.device)
    reason, since, zone = _string(row.reason), iso(row.since), _text(row.zone)
    return (
        f'{{"at":{_time(row.at)},"by":{by},"contribution":{counts},"device":{device},"last_heard_at":{_time(row.last_heard_at)}'
        f',"reason":{reason},"since":"{since}","value":{_number(row.value)},"zone":{zone}}}',
        f'{{"by":{by},"contribution":{counts},"device":{device},"reason":{reason},"since":"{since}","zone":{zone}}}',
    )


def _fact(row: FactEvidence) -> tuple[str, str]:
    counts, id, kind = _string(row.contribution), _string(row.id), _string(row.kind)
    number, reason = _string(row.number), _string(row.reason)
    return (
        f'{{"at":{_time(row.at)},"contribution":{counts},"id":{id},"kind":{kind},"number":{number},"reason":{reason}'
        f',"until":{_time(row.until)},"value":{_number(row.value)}}}',
        f'{{"contribution":{counts},"id":{id},"kind":{kind},"number":{number},"reason":{reason}}}',
    )


def _text(given: str | None) -> str:
    return "null" if given is None else _string(given)


def _time(at: Micros | None) -> str:
    return "null" if at is None else f'"{iso(at)}"'


def _number(value: float | None) -> str:
    """A measured figure; what is no number is none in evidence (the database's JSON knows none either)."""
    if type(value) is int:
        return repr(value)
    if value is None or not math.isfinite(value):
        return "null"
    return repr(int(value)) if isinstance(value, int) or value.is_integer() else repr(value)


def _word(given: bool) -> str:
    return "true" if given else "false"


@lru_cache(maxsize=16_384)
def iso(at: Micros) -> str:
    """A time as it is written in statements and in the chain."""
    return to_datetime(at).replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"


def micros(written: str) -> Micros:
    """The time that `iso` wrote; raises ValueError for anything else."""
    at = to_micros(datetime.strptime(written, "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=UTC))
    if iso(at) != written:
        raise ValueError(f"no time: {written!r}")
    return at
