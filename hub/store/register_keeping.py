"""Whose the register is: once a regulator has taken in the list of a division, manifests of others change its entries no more."""

from collections.abc import Iterable

from hub.core.provisioning import Change, Noun
from hub.core.rights import Permission, Principal
from hub.errors import Forbidden
from hub.store.pool import Connection
from hub.store.queries import queries
from hub.store.rows import one_row

_SQL = queries("register_keeping")


async def check(conn: Connection, changes: Iterable[Change], who: Principal) -> None:
    """Raises Forbidden where `changes` touch entries of a division whose list was taken in, and `who` may not supervise."""
    entries = [change for change in changes if change.key.noun is Noun.REGISTER_ENTRY]
    places = {fields["division"] for change in entries for fields in (change.before, change.after) if fields}
    if not places or who.may(Permission.SUPERVISE):
        return
    kept = await one_row(conn, _SQL["kept"], {"divisions": sorted(places)})
    if kept is not None:
        raise Forbidden(
            f"the register of division {kept['division']} is kept by its regulator: a manifest changes it no more"
        )
