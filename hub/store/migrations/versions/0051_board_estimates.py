"""Revision 0051: estimates of boards tell nothing, see the .sql file beside."""

from hub.store.migrate import run_file

revision = "0051"
down_revision = "0050"


def upgrade() -> None:
    """Run the statements."""
    run_file(__file__)
