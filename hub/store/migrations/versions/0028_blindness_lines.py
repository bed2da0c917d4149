"""Revision 0028: blindness_lines, see the .sql file beside."""

from hub.store.migrate import run_file

revision = "0028"
down_revision = "0027"


def upgrade() -> None:
    """Run the statements."""
    run_file(__file__)
