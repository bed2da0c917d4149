"""Revision 0047: who waits to be judged again, see the .sql file beside."""

from hub.store.migrate import run_file

revision = "0047"
down_revision = "0046"


def upgrade() -> None:
    """Run the statements."""
    run_file(__file__)
