"""Revision 0057: looks with where their institutions lie, see the .sql file beside."""

from hub.store.migrate import run_file

revision = "0057"
down_revision = "0056"


def upgrade() -> None:
    """Run the statements."""
    run_file(__file__)
