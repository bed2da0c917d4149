"""Revision 0033: steps that turned out to have reached nobody, see the .sql file beside."""

from hub.store.migrate import run_file

revision = "0033"
down_revision = "0032"


def upgrade() -> None:
    """Run the statements."""
    run_file(__file__)
