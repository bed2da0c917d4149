"""Revision 0009: completeness_view, see the .sql file beside."""

from hub.store.migrate import run_file

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    """Run the statements."""
    run_file(__file__)
