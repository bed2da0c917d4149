"""Revision 0037: an authority's address is no responder's, see the .sql file beside."""

from hub.store.migrate import run_file

revision = "0037"
down_revision = "0036"


def upgrade() -> None:
    """Run the statements."""
    run_file(__file__)
