"""Revision 0012: blindness, see the .sql file beside."""

from hub.store.migrate import run_file

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    """Run the statements."""
    run_file(__file__)
