"""Revision 0026: registry_announced, see the .sql file beside."""

from hub.store.migrate import run_file

revision = "0026"
down_revision = "0025"


def upgrade() -> None:
    """Run the statements."""
    run_file(__file__)
