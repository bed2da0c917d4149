"""Revision 0041: row-level security under the views of Grafana, see the .sql file beside."""

from hub.store.migrate import run_file

revision = "0041"
down_revision = "0040"


def upgrade() -> None:
    """Run the statements."""
    run_file(__file__)
