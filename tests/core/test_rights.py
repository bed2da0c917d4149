"""The table of rights and the rule of scope."""

import pytest

from hub.core.rights import EVERYTHING, RIGHTS, Permission, Principal, Role, Scope


def test_the_table_of_rights_is_total_over_the_roles() -> None:
    assert set(RIGHTS) == set(Role)


def test_platforms_only_read() -> None:
    assert RIGHTS[Role.PLATFORM] == {Permission.READ}


def test_who_supervises_neither_acts_on_alarms_nor_answers_for_an_institution() -> None:
    assert RIGHTS[Role.REGULATOR] == {Permission.READ, Permission.SUPERVISE, Permission.ATTEST}
    assert {role for role in Role if Permission.SUPERVISE in RIGHTS[role]} == {Role.ADMIN, Role.REGULATOR}
    assert {role for role in Role if Permission.ANSWER in RIGHTS[role]} == {Role.ADMIN, Role.OPERATOR}


def test_only_an_operator_and_an_admin_act_on_alarms() -> None:
    assert {role for role in Role if Permission.ACKNOWLEDGE in RIGHTS[role]} == {Role.ADMIN, Role.OPERATOR}


def test_only_an_installer_and_an_admin_provision_and_test() -> None:
    for permission in (Permission.PROVISION, Permission.TEST):
        assert {role for role in Role if permission in RIGHTS[role]} == {Role.ADMIN, Role.INSTALLER}


def test_whoever_works_on_site_or_watches_books_maintenance_and_arms() -> None:
    may = {role for role in Role if Permission.MAINTAIN in RIGHTS[role]}
    assert may == {Role.ADMIN, Role.INSTALLER, Role.OPERATOR}


def test_only_an_admin_administers() -> None:
    assert {role for role in Role if Permission.ADMINISTER in RIGHTS[role]} == {Role.ADMIN}


@pytest.mark.parametrize("role", Role)
@pytest.mark.parametrize("permission", Permission)
def test_a_principal_may_what_its_role_may(role: Role, permission: Permission) -> None:
    assert Principal("id", "name", role, EVERYTHING).may(permission) == (permission in RIGHTS[role])


@pytest.mark.parametrize(
    ("scope", "covered"),
    [
        (EVERYTHING, True),
        (Scope(), False),
        (Scope(divisions=("14",)), True),
        (Scope(divisions=("140403",)), True),
        (Scope(divisions=("140403001",)), False),
        (Scope(divisions=("1405",)), False),
        (Scope(institutions=("here",)), True),
        (Scope(institutions=("her",)), False),
        (Scope(groups=("chain",)), True),
        (Scope(groups=("other",)), False),
        (Scope(divisions=("1405",), groups=("chain",)), True),
    ],
)
def test_a_scope_is_the_union_of_its_parts(scope: Scope, covered: bool) -> None:
    assert scope.covers("here", "140403", ("chain",)) is covered


def test_only_a_scope_over_the_division_oversees_it() -> None:
    assert EVERYTHING.oversees("140403")
    assert Scope(divisions=("14",)).oversees("140403")
    for scope in (Scope(divisions=("140403001",)), Scope(institutions=("here",)), Scope(groups=("chain",))):
        assert not scope.oversees("140403")
