"""Revision 0060: when each lane was heard of by the database's own clock, see the .sql file beside."""

from hub.store.migrate import run_file

revision = "0060"
down_revision = "0059"


def upgrade() -> None:
    """Run the statements."""
    run_file(__file__)
