"""Revision 0054: pages that went out under a second identity, see the .sql file beside."""

from hub.store.migrate import run_file

revision = "0054"
down_revision = "0053"


def upgrade() -> None:
    """Run the statements."""
    run_file(__file__)
