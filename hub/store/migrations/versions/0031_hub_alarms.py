"""Revision 0031: what the hub's own alarms say, see the .sql file beside."""

from hub.store.migrate import run_file

revision = "0031"
down_revision = "0030"


def upgrade() -> None:
    """Run the statements."""
    run_file(__file__)
