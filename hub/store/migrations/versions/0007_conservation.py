"""Revision 0007: conservation, see the .sql file beside."""

from hub.store.migrate import run_file

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Run the statements."""
    run_file(__file__)
