"""Revision 0015: blindness, see the .sql file beside."""

from hub.store.migrate import run_file

revision = "0015"
down_revision = "0014"


def upgrade() -> None:
    """Run the statements."""
    run_file(__file__)
