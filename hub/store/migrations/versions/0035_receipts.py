"""Revision 0035: steps that turned out to have reached nobody, see the .sql file beside."""

from hub.store.migrate import run_file

revision = "0035"
down_revision = "0034"


def upgrade() -> None:
    """Run the statements."""
    run_file(__file__)
