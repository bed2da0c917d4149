"""Revision 0028: what was written by a clock that was set and set back is found, see the .sql file beside."""

from hub.store.migrate import run_file

revision = "0028"
down_revision = "0027"


def upgrade() -> None:
    """Run the statements."""
    run_file(__file__)
