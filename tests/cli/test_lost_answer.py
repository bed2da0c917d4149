"""A hub that dies while it applies: the installer is told what is known and what to do."""

from pathlib import Path

import httpx
import pytest

from provisioning.client import Hub
from provisioning.errors import Exit, HubError
from provisioning.manifest_commands import apply

PLAN = {"digest": "0" * 32, "applied": False, "changes": [{"action": "create"}], "warnings": [], "errors": []}


def dies_in_apply(request: httpx.Request) -> httpx.Response:
    if request.url.path.endswith("/plan"):
        return httpx.Response(200, json=PLAN)
    raise httpx.RemoteProtocolError("the server disconnected without sending a response", request=request)


def test_an_apply_whose_answer_was_lost_says_that_it_may_be_run_again(tmp_path: Path) -> None:
    manifest = tmp_path / "city.yaml"
    manifest.write_text("divisions: []\n", "utf-8")
    hub = Hub("http://127.0.0.1:1", "hub_token", transport=httpx.MockTransport(dies_in_apply))
    with pytest.raises(HubError, match=r"not known whether it was applied.*run the same command again") as raised:
        apply(hub, [manifest], yes=True, as_json=True)
    assert raised.value.code == Exit.NOT_REACHABLE
