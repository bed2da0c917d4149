"""Revision 0055: what a kept fire-risk score rests on, see the .sql file beside."""

from hub.store.migrate import run_file

revision = "0055"
down_revision = "0054"


def upgrade() -> None:
    """Run the statements."""
    run_file(__file__)
