"""Revision 0008: edge_configuration, see the .sql file beside."""

from hub.store.migrate import run_file

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    """Run the statements."""
    run_file(__file__)
