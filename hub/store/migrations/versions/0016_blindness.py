"""Revision 0016: blindness, see the .sql file beside."""

from hub.store.migrate import run_file

revision = "0016"
down_revision = "0015"


def upgrade() -> None:
    """Run the statements."""
    run_file(__file__)
