"""Revision 0014: handover, see the .sql file beside."""

from hub.store.migrate import run_file

revision = "0014"
down_revision = "0013"


def upgrade() -> None:
    """Run the statements."""
    run_file(__file__)
