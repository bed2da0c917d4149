"""Revision 0039: the proof of recordings, see the .sql file beside."""

from hub.store.migrate import run_file

revision = "0039"
down_revision = "0038"


def upgrade() -> None:
    """Run the statements."""
    run_file(__file__)
