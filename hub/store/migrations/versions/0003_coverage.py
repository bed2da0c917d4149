"""Revision 0003: coverage, see the .sql file beside."""

from hub.store.migrate import run_file

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Run the statements."""
    run_file(__file__)
