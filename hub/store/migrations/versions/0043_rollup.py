"""Revision 0043: the roll-up by division and group, see the .sql file beside."""

from hub.store.migrate import run_file

revision = "0043"
down_revision = "0042"


def upgrade() -> None:
    """Run the statements."""
    run_file(__file__)
