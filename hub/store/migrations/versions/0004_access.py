"""Revision 0004: access, see the .sql file beside."""

from hub.store.migrate import run_file

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Run the statements."""
    run_file(__file__)
