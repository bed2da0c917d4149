"""Revision 0045: the past of the roll-up subject by subject, see the .sql file beside."""

from hub.store.migrate import run_file

revision = "0045"
down_revision = "0044"


def upgrade() -> None:
    """Run the statements."""
    run_file(__file__)
