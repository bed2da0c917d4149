"""What providers say by themselves of calls that they took: no token, but a secret at the address's end, and a call that the hub knows.

Whatever is wrong (the secret, the call, a channel that has no secret) looks the same from outside: nothing was there.
"""

import hmac
import re
from typing import Annotated, Any

from fastapi import APIRouter, Body, Path
from pydantic import BaseModel

from hub.api.access import Conn, Hub
from hub.errors import BadInput, NotFound
from hub.notify import parse_settings
from hub.notify.tencent import TencentVoiceSettings, reported
from hub.runtime.receipts import say_receipt
from hub.store import receipts

router = APIRouter()
_SECRET = re.compile(r"[A-Za-z0-9_-]{32,100}")


class Taken(BaseModel):
    """What Tencent wants to hear."""

    result: int = 0
    errmsg: str = "OK"


@router.post("/receipts/tencent/{secret}", include_in_schema=False)
async def tencent_called_back(
    conn: Conn,
    hub: Hub,
    secret: Annotated[str, Path(description="`callback_secret` of the channels of this application.")],
    said: Annotated[Any, Body(description="as Tencent posts it: `voiceprompt_callback` or `voicekey_callback`")],
) -> Taken:
    """Tencent says what became of a call. What is no report of a call is taken and changes nothing."""
    report = reported(said)
    if _SECRET.fullmatch(secret) is None:
        raise NotFound("nothing here")
    if report is None:
        return Taken()
    asked = await receipts.named(conn, report.provider_id, "voice_tencent")
    if asked is None or not _holds(asked, secret):
        raise NotFound("nothing here")
    arrival, detail = report.confirmation
    noted = await receipts.note(conn, asked, arrival.value, detail, is_more=report.is_more)
    say_receipt(asked, arrival.value, detail, noted)
    return Taken()


def _holds(asked: receipts.Open, secret: str) -> bool:
    try:
        settings = parse_settings(asked.kind, asked.settings, "channel")
    except BadInput:
        return False
    if not isinstance(settings, TencentVoiceSettings) or settings.callback_secret is None:
        return False
    return hmac.compare_digest(settings.callback_secret.get_secret_value(), secret)
