"""Revision 0019: handover, see the .sql file beside."""

from hub.store.migrate import run_file

revision = "0019"
down_revision = "0018"


def upgrade() -> None:
    """Run the statements."""
    run_file(__file__)
