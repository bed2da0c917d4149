"""Revision 0047: what boards show of a chosen past, see the .sql file beside."""

from hub.store.migrate import run_file

revision = "0047"
down_revision = "0046"


def upgrade() -> None:
    """Run the statements."""
    run_file(__file__)
