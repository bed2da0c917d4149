"""The cluster: what it is, how it is set, what it refuses, and where its socket lies."""

import os
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest

from hub.engine import Prefix
from hub.engine.identity import usable_identity
from hub.engine.postgres import Postgres, _socket_folder
from hub.errors import EngineUnavailable


def setting(url: str, name: str) -> str:
    with psycopg.connect(url) as connection:
        row = connection.execute("SELECT current_setting(%s)", [name]).fetchone()
    assert row is not None
    return str(row[0])


def test_it_is_timescaledb_on_postgresql_17(database: str) -> None:
    assert setting(database, "server_version").startswith("17.")
    assert setting(database, "timescaledb.license") in ("apache", "timescale")
    with psycopg.connect(database) as connection:
        connection.execute("CREATE TABLE measured (at timestamptz NOT NULL, value float8)")
        connection.execute("SELECT create_hypertable('measured', by_range('at'))")
        connection.execute("INSERT INTO measured VALUES ('2026-11-21', 1), ('2026-11-28', 2)")
        row = connection.execute("SELECT count(*) FROM show_chunks('measured')").fetchone()
    assert row == (2,)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("timezone", "UTC"),
        ("listen_addresses", ""),
        ("max_connections", "100"),
        ("lc_collate", "C.UTF-8"),
        ("server_encoding", "UTF8"),
        ("timescaledb.telemetry_level", "off"),
        ("unix_socket_permissions", "0700"),
        ("data_checksums", "off"),
    ],
)
def test_it_is_set_as_documented(database_url: str, name: str, value: str) -> None:
    if "ANXIN_DATABASE_URL" in os.environ:
        pytest.skip("the database of ANXIN_DATABASE_URL has settings of its own")
    if name == "lc_collate":
        with psycopg.connect(database_url) as connection:
            row = connection.execute("SELECT datcollate FROM pg_database WHERE datname = current_database()").fetchone()
        assert row == (value,)
    else:
        assert setting(database_url, name) == value


def test_a_test_database_is_fresh_and_migrated(make_database: Callable[[], str]) -> None:
    first, second = make_database(), make_database()
    with psycopg.connect(first) as connection:
        connection.execute("CREATE TABLE only_here ()")
        row = connection.execute("SELECT to_regclass('reading') IS NOT NULL").fetchone()
    assert row == (True,)
    with psycopg.connect(second) as connection:
        row = connection.execute("SELECT to_regclass('only_here') IS NULL").fetchone()
    assert row == (True,)


def test_a_durable_cluster_syncs_and_a_throw_away_one_does_not(engine_prefix: Prefix, tmp_path: Path) -> None:
    for durable, value in ((True, "fsync=on"), (False, "fsync=off")):
        assert value in Postgres(engine_prefix, tmp_path, usable_identity(), durable).command()


def test_a_cluster_of_another_major_version_is_refused_and_left_alone(engine_prefix: Prefix, tmp_path: Path) -> None:
    version = tmp_path / "cluster/PG_VERSION"
    version.parent.mkdir()
    version.write_text("16\n")
    with pytest.raises(EngineUnavailable, match="was made by PostgreSQL 16 and this engine is 17"):
        Postgres(engine_prefix, tmp_path, usable_identity(), True).create()
    assert version.read_text() == "16\n"


def test_a_cluster_that_cannot_be_made_leaves_no_half_of_it(
    engine_prefix: Prefix, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    postgres = Postgres(engine_prefix, tmp_path, usable_identity(), False)
    monkeypatch.setattr(postgres, "_program", "/bin/false")
    with pytest.raises(EngineUnavailable, match="the cluster cannot be made"):
        postgres.create()
    assert list(tmp_path.iterdir()) == []


def test_the_socket_lies_in_the_data_folder_unless_its_path_is_too_long_or_not_plain(tmp_path: Path) -> None:
    assert _socket_folder(Path("/srv/anxin")) == Path("/srv/anxin/run")
    for data in (Path("/srv") / ("x" * 120), Path("/srv/a,b"), Path("/srv/数据")):
        folder = _socket_folder(data)
        assert len(str(folder / ".s.PGSQL.5432")) < 100
        assert folder == _socket_folder(data)
        assert folder != _socket_folder(data / "other")


def test_what_a_dead_postmaster_left_is_cleared_away(engine_prefix: Prefix, tmp_path: Path) -> None:
    postgres = Postgres(engine_prefix, tmp_path, usable_identity(), False)
    postgres.cluster.mkdir()
    lock_file = postgres.cluster / "postmaster.pid"
    lock_file.write_text(f"{os.getpid()}\n")  # a process that lives and is no PostgreSQL
    postgres.prepare()
    assert not lock_file.exists()
    assert postgres.sockets.stat().st_mode & 0o777 == 0o700
