"""Revision 0041: the ledger of findings knows two times, see the .sql file beside."""

from hub.store.migrate import run_file

revision = "0041"
down_revision = "0040"


def upgrade() -> None:
    """Run the statements."""
    run_file(__file__)
