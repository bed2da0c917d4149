"""Revision 0010: edge_time, see the .sql file beside."""

from hub.store.migrate import run_file

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    """Run the statements."""
    run_file(__file__)
