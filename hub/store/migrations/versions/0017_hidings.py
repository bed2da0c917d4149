"""Revision 0017: hidings, see the .sql file beside."""

from hub.store.migrate import run_file

revision = "0017"
down_revision = "0016"


def upgrade() -> None:
    """Run the statements."""
    run_file(__file__)
