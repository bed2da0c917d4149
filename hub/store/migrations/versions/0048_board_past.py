"""Revision 0048: what boards show of a chosen past, see the .sql file beside."""

from hub.store.migrate import run_file

revision = "0048"
down_revision = "0047"


def upgrade() -> None:
    """Run the statements."""
    run_file(__file__)
