"""Revision 0013: console, see the .sql file beside."""

from hub.store.migrate import run_file

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    """Run the statements."""
    run_file(__file__)
