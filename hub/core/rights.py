"""Who may do what, and where: roles, permissions, scopes, principals.

The one table of rights stands here. Knows nothing of tokens, requests or the database; the same rule of scope stands in SQL as the
function `institutions_in_scope` (migration 0004), because lists are cut by the database and the event stream is cut here.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any


class Role(StrEnum):
    """What a token's holder is."""

    ADMIN = "admin"
    INSTALLER = "installer"
    OPERATOR = "operator"
    REGULATOR = "regulator"
    PLATFORM = "platform"


class Permission(StrEnum):
    """What an operation of the API asks for; every route declares exactly one."""

    READ = "read"
    """see what is within the scope"""
    ACKNOWLEDGE = "acknowledge"
    """act on alarms: acknowledge, reset, shelve, say what they were, write notes"""
    TEST = "test"
    """start a function test of a device"""
    EXERCISE = "exercise"
    """declare drills and ask for proofs, book windows at the police centre"""
    PROVISION = "provision"
    """plan and apply manifests, fetch bundles, put devices in and out of service"""
    MAINTAIN = "maintain"
    """book maintenance windows, arm and disarm institutions"""
    SUPERVISE = "supervise"
    """a regulator's own acts: issue and withdraw orders, grant and end waivers, sign zone plans, keep the register"""
    ANSWER = "answer"
    """answer for an institution: say what was done about an order"""
    ATTEST = "attest"
    """state what no device can say: patrols, inspections, documents, what a camera sees; sign as the second person"""
    ADMINISTER = "administer"
    """tokens and the audit log"""


RIGHTS: Mapping[Role, frozenset[Permission]] = {
    Role.ADMIN: frozenset(Permission),
    Role.INSTALLER: frozenset(
        {
            Permission.READ,
            Permission.TEST,
            Permission.EXERCISE,
            Permission.PROVISION,
            Permission.MAINTAIN,
            Permission.ATTEST,
        }
    ),
    Role.OPERATOR: frozenset(
        {
            Permission.READ,
            Permission.ACKNOWLEDGE,
            Permission.EXERCISE,
            Permission.MAINTAIN,
            Permission.ANSWER,
            Permission.ATTEST,
        }
    ),
    Role.REGULATOR: frozenset({Permission.READ, Permission.SUPERVISE, Permission.ATTEST}),
    Role.PLATFORM: frozenset({Permission.READ}),
}
"""The table of rights: total over the roles."""


@dataclass(frozen=True, slots=True)
class Scope:
    """What a principal may see or do: everything, or the union of divisions (by code prefix), institutions and groups."""

    everything: bool = False
    divisions: tuple[str, ...] = ()
    institutions: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()

    def covers(self, institution: str, division: str, groups: Collection[str] = ()) -> bool:
        """True where the institution, which stands in `division` and belongs to `groups`, lies within this scope."""
        return (
            self.everything
            or institution in self.institutions
            or any(division.startswith(prefix) for prefix in self.divisions)
            or any(group in groups for group in self.groups)
        )

    def oversees(self, division: str) -> bool:
        """True where all of a division lies within this scope: who supervises there. No institution and no group supervises itself."""
        return self.everything or any(division.startswith(prefix) for prefix in self.divisions)

    def as_json(self) -> dict[str, Any]:
        """The shape in which SQL takes a scope (`institutions_in_scope(jsonb)`)."""
        return {
            "everything": self.everything,
            "divisions": list(self.divisions),
            "institutions": list(self.institutions),
            "groups": list(self.groups),
        }

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> "Scope":
        """The scope that `as_json` wrote."""
        return cls(
            everything=stored["everything"],
            divisions=tuple(stored["divisions"]),
            institutions=tuple(stored["institutions"]),
            groups=tuple(stored["groups"]),
        )


EVERYTHING = Scope(everything=True)


@dataclass(frozen=True, slots=True)
class Principal:
    """Who speaks: a named person or service, by the token that was shown."""

    token: str
    """the token's public id, never its secret"""
    name: str
    role: Role
    scope: Scope

    def may(self, permission: Permission) -> bool:
        """True where the role has this permission."""
        return permission in RIGHTS[self.role]
