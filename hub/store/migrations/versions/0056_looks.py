"""Revision 0056: what devices and recordings looked like, see the .sql file beside."""

from hub.store.migrate import run_file

revision = "0056"
down_revision = "0055"


def upgrade() -> None:
    """Run the statements."""
    run_file(__file__)
