"""Revision 0034: storms are grouped by what they come from, see the .sql file beside."""

from hub.store.migrate import run_file

revision = "0034"
down_revision = "0033"


def upgrade() -> None:
    """Run the statements."""
    run_file(__file__)
