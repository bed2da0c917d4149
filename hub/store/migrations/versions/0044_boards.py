"""Revision 0044: what Grafana's boards stand on, see the .sql file beside."""

from hub.store.migrate import run_file

revision = "0044"
down_revision = "0043"


def upgrade() -> None:
    """Run the statements."""
    run_file(__file__)
