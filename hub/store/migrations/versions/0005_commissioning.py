"""Revision 0005: commissioning, see the .sql file beside."""

from hub.store.migrate import run_file

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Run the statements."""
    run_file(__file__)
