"""Revision 0023: function tests end with their window at the police centre, see the .sql file beside."""

from hub.store.migrate import run_file

revision = "0023"
down_revision = "0022"


def upgrade() -> None:
    """Run the statements."""
    run_file(__file__)
