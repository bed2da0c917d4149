"""Revision 0021: ownership, see the .sql file beside."""

from hub.store.migrate import run_file

revision = "0021"
down_revision = "0020"


def upgrade() -> None:
    """Run the statements."""
    run_file(__file__)
