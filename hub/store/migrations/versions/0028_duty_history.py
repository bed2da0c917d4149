"""Revision 0028: who was on duty stays known, see the .sql file beside."""

from hub.store.migrate import run_file

revision = "0028"
down_revision = "0027"


def upgrade() -> None:
    """Run the statements."""
    run_file(__file__)
