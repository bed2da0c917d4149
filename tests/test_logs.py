"""Logs: one kind of line, whoever wrote it."""

import json
import logging

import pytest
import structlog

from hub import logs


@pytest.fixture(autouse=True)
def _as_before() -> object:
    yield
    logging.basicConfig(handlers=[logging.NullHandler()], force=True)
    structlog.reset_defaults()


def test_our_lines_and_a_librarys_warning_are_json_with_the_same_keys(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("info", "json")
    structlog.get_logger("hub").warning("ours", lane="urgent")
    logging.getLogger("psycopg.pool").warning("error connecting in %r", "pool-1")
    ours, theirs = (json.loads(line) for line in capsys.readouterr().err.splitlines())
    assert (ours["event"], ours["lane"], ours["level"]) == ("ours", "urgent", "warning")
    assert (theirs["event"], theirs["logger"], theirs["level"]) == (
        "error connecting in 'pool-1'",
        "psycopg.pool",
        "warning",
    )
    assert "timestamp" in theirs


def test_what_is_below_the_level_is_not_shown(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("warning", "json")
    structlog.get_logger("hub").info("quiet")
    logging.getLogger("httpx").info("quiet, too")
    assert capsys.readouterr().err == ""
