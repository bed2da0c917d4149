"""`anxin evidence key`: a pair is made, and the public half of what the hub signs by is shown; a key that is none is refused without being shown."""

import pytest
from typer.testing import CliRunner

from hub.cli.evidence import app


@pytest.fixture
def settings(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    monkeypatch.setenv("ANXIN_DATABASE_URL", "postgresql://nobody@127.0.0.1/nothing")
    monkeypatch.setenv("ANXIN_MQTT_URL", "mqtt://127.0.0.1")
    monkeypatch.delenv("ANXIN_LEDGER_KEY", raising=False)
    return monkeypatch


def test_the_public_half_of_a_new_pair_is_what_the_hub_says_of_it(settings: pytest.MonkeyPatch) -> None:
    private, public = CliRunner().invoke(app, ["key", "--new"]).output.strip().splitlines()
    settings.setenv("ANXIN_LEDGER_KEY", private.rpartition(" ")[2])
    assert CliRunner().invoke(app, ["key"]).output.strip() == public


@pytest.mark.parametrize("written", [None, "ab" * 31, "no key at all"])
def test_without_a_key_or_with_what_is_none_nothing_is_shown(settings: pytest.MonkeyPatch, written: str | None) -> None:
    if written is not None:
        settings.setenv("ANXIN_LEDGER_KEY", written)
    found = CliRunner().invoke(app, ["key"])
    assert found.exit_code == 2
    assert "ANXIN_LEDGER_KEY" in found.output
    assert written is None or written not in found.output
