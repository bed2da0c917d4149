"""Revision 0052: in every figure an institution stands in the register's division, see the .sql file beside."""

from hub.store.migrate import run_file

revision = "0052"
down_revision = "0051"


def upgrade() -> None:
    """Run the statements."""
    run_file(__file__)
