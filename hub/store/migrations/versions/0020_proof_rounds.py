"""Revision 0020: rounds of proofs that are told to people, see the .sql file beside."""

from hub.store.migrate import run_file

revision = "0020"
down_revision = "0019"


def upgrade() -> None:
    """Run the statements."""
    run_file(__file__)
