"""Revision 0006: read_side, see the .sql file beside."""

from hub.store.migrate import run_file

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Run the statements."""
    run_file(__file__)
