"""Revision 0018: steady, see the .sql file beside."""

from hub.store.migrate import run_file

revision = "0018"
down_revision = "0017"


def upgrade() -> None:
    """Run the statements."""
    run_file(__file__)
