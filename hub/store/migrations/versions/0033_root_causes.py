"""Revision 0033: storms are grouped by what they come from, see the .sql file beside."""

from hub.store.migrate import run_file

revision = "0033"
down_revision = "0032"


def upgrade() -> None:
    """Run the statements."""
    run_file(__file__)
