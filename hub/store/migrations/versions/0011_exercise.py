"""Revision 0011: exercise, see the .sql file beside."""

from hub.store.migrate import run_file

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    """Run the statements."""
    run_file(__file__)
