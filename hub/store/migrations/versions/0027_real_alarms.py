"""Revision 0027: dashboards draw real alarms alone, see the .sql file beside."""

from hub.store.migrate import run_file

revision = "0027"
down_revision = "0026"


def upgrade() -> None:
    """Run the statements."""
    run_file(__file__)
