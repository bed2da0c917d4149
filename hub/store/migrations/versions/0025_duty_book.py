"""Revision 0025: duty_book, see the .sql file beside."""

from hub.store.migrate import run_file

revision = "0025"
down_revision = "0024"


def upgrade() -> None:
    """Run the statements."""
    run_file(__file__)
