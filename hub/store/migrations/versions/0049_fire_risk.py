"""Revision 0049: the fire-risk score as it was, see the .sql file beside."""

from hub.store.migrate import run_file

revision = "0049"
down_revision = "0048"


def upgrade() -> None:
    """Run the statements."""
    run_file(__file__)
