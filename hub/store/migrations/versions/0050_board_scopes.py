"""Revision 0050: what a role sees is looked up once, see the .sql file beside."""

from hub.store.migrate import run_file

revision = "0050"
down_revision = "0049"


def upgrade() -> None:
    """Run the statements."""
    run_file(__file__)
