"""Revision 0001: spine, see the .sql file beside."""

from hub.store.migrate import run_file

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Run the statements."""
    run_file(__file__)
