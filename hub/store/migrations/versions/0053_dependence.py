"""Revision 0053: what devices hang on, and what their tests have shown, see the .sql file beside."""

from hub.store.migrate import run_file

revision = "0053"
down_revision = "0052"


def upgrade() -> None:
    """Run the statements."""
    run_file(__file__)
