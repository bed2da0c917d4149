"""Revision 0022: blindness_areas, see the .sql file beside."""

from hub.store.migrate import run_file

revision = "0022"
down_revision = "0021"


def upgrade() -> None:
    """Run the statements."""
    run_file(__file__)
