"""The chain of a subject's ledger, and the digest over all chains. Pure.

An entry is what was recorded of a subject in one transaction. Its hash covers its content (the rows added, by their own hashes, and those ended) and
the hash of the entry before. A digest is the root of a Merkle tree (RFC 9162, 2.1: leaves and nodes are told apart by their first byte) over the
last link of every chain, and covers the digest before it. So one that was once shown outside proves all that was recorded until then.
"""

from collections.abc import Sequence
from hashlib import sha256
from typing import Any, NamedTuple

from hub.core.coverage import canonical
from hub.core.coverage.ledger import Row, Span
from hub.core.coverage.statements import Said, iso
from hub.model import Micros

GENESIS = bytes(32)
"""stands before the first entry and before the first digest"""


class Head(NamedTuple):
    """The last link of a chain."""

    n: int = 0
    hash: bytes = GENESIS
    known_from: Micros = 0


def row_content(subject: str, row: Row) -> dict[str, Any]:
    """A row of findings, as its hash covers it."""
    said = row.said
    return {
        "subject": subject,
        "rule": row.rule,
        "true_from": iso(row.start),
        "true_to": None if row.end is None else iso(row.end),
        "verdict_since": iso(row.verdict_since),
        **said_content(said),
    }


def said_content(said: Said) -> dict[str, Any]:
    """What was said, with hashes as hexadecimal digits."""
    return {
        "basis": said.basis,
        "module": said.module,
        "verdict": said.verdict,
        "reason": said.reason,
        "plan_not_signed": said.plan_not_signed,
        "statement": said.statement.hex(),
        "essence": _hex(said.essence),
        "facts": _hex(said.facts),
        "packs": _hex(said.packs),
        "judged_at": None if said.judged_at is None else iso(said.judged_at),
    }


def span_content(subject: str, span: Span, facts: bytes) -> dict[str, Any]:
    """A row of judgements: which facts held from when to when."""
    return {
        "subject": subject,
        "true_from": iso(span.start),
        "true_to": None if span.end is None else iso(span.end),
        "facts": facts.hex(),
        "packs": span.packs.hex(),
    }


def _hex(given: bytes | None) -> str | None:
    return None if given is None else given.hex()


class Entry(NamedTuple):
    """What one transaction recorded of a subject; rows by the hexadecimal digits of their hashes (`before:<key>` where there is none)."""

    subject: str
    n: int
    known_from: Micros
    findings: Sequence[str]
    judgements: Sequence[str]
    ends: Sequence[str]
    ends_judgements: Sequence[str]

    def hash(self, previous: bytes) -> bytes:
        """The link after `previous`."""
        content = {
            "subject": self.subject,
            "n": self.n,
            "known_from": iso(self.known_from),
            "previous": previous.hex(),
            "findings": sorted(self.findings),
            "judgements": sorted(self.judgements),
            "ends": sorted(self.ends),
            "ends_judgements": sorted(self.ends_judgements),
        }
        return canonical.digest(content)


def leaf(subject: str, n: int, hash: bytes) -> bytes:
    """A chain's last link as a leaf of the tree."""
    return sha256(b"\x00" + canonical.text([subject, n, hash.hex()])).digest()


def root(leaves: Sequence[bytes]) -> bytes:
    """The root over leaves in their order; of none, 32 zero bytes."""
    level = list(leaves)
    while len(level) > 1:
        level = _above(level)
    return level[0] if level else GENESIS


def path(leaves: Sequence[bytes], place: int) -> list[tuple[str, bytes]]:
    """What proves that the leaf at `place` is under the root: (`left` or `right`, the neighbour's hash) from the bottom up."""
    out, level = [], list(leaves)
    while len(level) > 1:
        beside = place ^ 1
        if beside < len(level):
            out.append(("left" if beside < place else "right", level[beside]))
        level, place = _above(level), place // 2
    return out


def climb(start: bytes, steps: Sequence[tuple[str, bytes]]) -> bytes:
    """The root that a leaf and its path lead to."""
    for side, beside in steps:
        start = _node(beside, start) if side == "left" else _node(start, beside)
    return start


def _above(level: Sequence[bytes]) -> list[bytes]:
    pairs = [_node(level[n], level[n + 1]) for n in range(0, len(level) - 1, 2)]
    return [*pairs, level[-1]] if len(level) % 2 else pairs


def _node(left: bytes, right: bytes) -> bytes:
    return sha256(b"\x01" + left + right).digest()


def digest_hash(day: str, taken_at: Micros, subjects: int, root: bytes, previous: bytes) -> bytes:
    """The digest of a day."""
    told = {"day": day, "taken_at": iso(taken_at), "subjects": subjects, "root": root.hex(), "previous": previous.hex()}
    return canonical.digest(told)
