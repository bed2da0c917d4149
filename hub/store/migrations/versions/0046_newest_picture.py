"""Revision 0046: when the newest picture was taken, see the .sql file beside."""

from hub.store.migrate import run_file

revision = "0046"
down_revision = "0045"


def upgrade() -> None:
    """Run the statements."""
    run_file(__file__)
