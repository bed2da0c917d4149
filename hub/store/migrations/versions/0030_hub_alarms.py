"""Revision 0030: what the hub's own alarms say, see the .sql file beside."""

from hub.store.migrate import run_file

revision = "0030"
down_revision = "0029"


def upgrade() -> None:
    """Run the statements."""
    run_file(__file__)
