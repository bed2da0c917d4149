"""Bring a database to the newest revision: forward only, raw SQL, one transaction per revision.

What migrates is imported where there is something to migrate: of the many starts of a centre few find anything to do.
"""

from pathlib import Path

import psycopg

from hub.errors import BadInput, LinkDown

FOLDER = Path(__file__).parent / "migrations"
_LOCK = 0x616E78696E  # "anxin": two processes that start at once migrate one after the other


def upgrade(database_url: str, revision: str = "head") -> None:
    """Migrate `database_url` (postgresql://…) up to `revision`; a second caller waits for the first. Raises BadInput, LinkDown."""
    if revision == "head" and _stands_at(database_url) == newest():
        return
    _migrate(database_url, revision)


def newest() -> str:
    """The newest revision that there is: their files are numbered."""
    return max(path.stem for path in (FOLDER / "versions").glob("[0-9]*.sql"))[:4]


def _stands_at(database_url: str) -> str:
    """The revision of a database; empty where it cannot be read, which whoever migrates will say better."""
    try:
        with psycopg.connect(database_url) as connection:
            row = connection.execute("select version_num from alembic_version").fetchone()
    except psycopg.Error:
        return ""
    return "" if row is None else str(row[0])


def _migrate(database_url: str, revision: str) -> None:
    from alembic import command
    from alembic.config import Config
    from sqlalchemy import create_engine, text
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import ArgumentError, OperationalError
    from sqlalchemy.pool import NullPool

    try:
        url = make_url(database_url).set(drivername="postgresql+psycopg")
    except ArgumentError:
        reason = "a database's address is written postgresql://user:password@host:port/name"
        raise BadInput(reason, "ANXIN_DATABASE_URL", code="settings") from None
    engine = create_engine(url, poolclass=NullPool)
    try:
        with engine.connect() as connection:
            connection.execute(text("select pg_advisory_lock(:key)"), {"key": _LOCK})
            connection.commit()
            config = Config()
            config.set_main_option("script_location", str(FOLDER))
            config.attributes["connection"] = connection
            command.upgrade(config, revision)
            connection.commit()
            connection.execute(text("select pg_advisory_unlock(:key)"), {"key": _LOCK})
            connection.commit()
    except OperationalError as error:
        raise LinkDown(f"database: {' '.join(str(error.orig).split())}") from None
    finally:
        engine.dispose()


def run_file(revision_file: str) -> None:
    """Execute the .sql file that stands beside a revision's .py file."""
    from alembic import op

    statements = Path(revision_file).with_suffix(".sql").read_text("utf-8")
    cursor = op.get_bind().connection.cursor()
    try:
        cursor.execute(statements)
    finally:
        cursor.close()
