"""Revision 0024: function tests end with their window at the police centre, see the .sql file beside."""

from hub.store.migrate import run_file

revision = "0024"
down_revision = "0023"


def upgrade() -> None:
    """Run the statements."""
    run_file(__file__)
