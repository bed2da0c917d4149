"""Revision 0002: escalation, see the .sql file beside."""

from hub.store.migrate import run_file

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Run the statements."""
    run_file(__file__)
