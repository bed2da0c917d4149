"""Revision 0036: function tests are asked for at once, see the .sql file beside."""

from hub.store.migrate import run_file

revision = "0036"
down_revision = "0035"


def upgrade() -> None:
    """Run the statements."""
    run_file(__file__)
