"""Revision 0058: looks with where their institutions lie, see the .sql file beside."""

from hub.store.migrate import run_file

revision = "0058"
down_revision = "0057"


def upgrade() -> None:
    """Run the statements."""
    run_file(__file__)
