"""Revision 0040: register, zone plans, views and attestations, see the .sql file beside."""

from hub.store.migrate import run_file

revision = "0040"
down_revision = "0039"


def upgrade() -> None:
    """Run the statements."""
    run_file(__file__)
