"""The rules by which a ledger is kept: today's packs and those of the past, each set named by the SHA-256 of its canonical text. Pure."""

import json
from collections.abc import Sequence
from dataclasses import dataclass

from hub.core.coverage import canonical, judge, turns, waivers
from hub.core.coverage.findings import Finding
from hub.core.coverage.rules import RulePack
from hub.core.coverage.snapshot import Snapshot
from hub.core.coverage.statements import essence
from hub.errors import BadInput
from hub.model import Micros


@dataclass(frozen=True, slots=True)
class Packs:
    """Rule packs that were used together."""

    packs: tuple[RulePack, ...]


class Rulebook:
    """`hub.core.coverage.ledger.Judge` over packs by their hash."""

    def __init__(self, packs: Sequence[RulePack]) -> None:
        used = Packs(tuple(packs))
        self.body = canonical.text_of(used)
        self.current = canonical.sha256(self.body)
        self._packs = {self.current: used.packs}
        self.packs = used.packs

    def knows(self, packs: bytes) -> bool:
        """Whether these packs were learnt."""
        return packs in self._packs

    def learn(self, packs: bytes, body: bytes) -> None:
        """Packs of the past from their text; raises BadInput where it is not what its hash names, or of a kind that is not known here."""
        if canonical.sha256(body) != packs:
            raise BadInput("is not what its hash names", f"packs {packs.hex()[:12]}", code="ledger")
        self._packs[packs] = canonical.read(Packs, json.loads(body), f"packs {packs.hex()[:12]}").packs

    def findings(self, packs: bytes, kept: Snapshot, at: Micros) -> Sequence[Finding]:
        """Every rule that applies at `at`, violations that are waived then as waived."""
        return waivers.amend(judge.check(self._packs[packs], kept.facts, at), kept.waivers, at)

    def next_turn(self, packs: bytes, kept: Snapshot, at: Micros) -> Micros | None:
        """When after `at` a verdict can be another though no fact is: a time limit, a rule's first or last day, a waiver's."""
        both = [turns.next_turn(self._packs[packs], kept.facts, at), waivers.next_turn(kept.waivers, at)]
        return min((turn for turn in both if turn is not None), default=None)

    def essences(self, kept: Snapshot, at: Micros) -> dict[str, bytes]:
        """By rule of today's packs, what tells whether it says something new (hub.core.coverage.statements)."""
        return {one.rule.id: essence(one) for one in self.findings(self.current, kept, at)}
