"""Revision 0042: the ledger of findings knows two times, see the .sql file beside."""

from hub.store.migrate import run_file

revision = "0042"
down_revision = "0041"


def upgrade() -> None:
    """Run the statements."""
    run_file(__file__)
