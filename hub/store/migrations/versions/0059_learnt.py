"""Revision 0059: what a watch has learnt of a subject outlives it, see the .sql file beside."""

from hub.store.migrate import run_file

revision = "0059"
down_revision = "0058"


def upgrade() -> None:
    """Run the statements."""
    run_file(__file__)
