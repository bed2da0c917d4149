"""Revision 0051: what devices hang on, and what their tests have shown, see the .sql file beside."""

from hub.store.migrate import run_file

revision = "0051"
down_revision = "0050"


def upgrade() -> None:
    """Run the statements."""
    run_file(__file__)
