"""Revision 0038: orders, waivers and the daily roll-up, see the .sql file beside."""

from hub.store.migrate import run_file

revision = "0038"
down_revision = "0037"


def upgrade() -> None:
    """Run the statements."""
    run_file(__file__)
