"""A message for the tests of channels."""

from datetime import UTC, datetime
from uuid import UUID

from hub.model import Priority, SignalClass
from hub.notify import Message
from hub.profiles import Title

MESSAGE = Message(
    id=UUID("a2bba8de-90c2-5f9f-aa5f-6059e46e206e"),
    alarm=UUID("11111111-2222-5333-8444-555555555555"),
    institution="star",
    institution_title=Title(zh="星星托育园", en="Star nursery"),
    division="140403001",
    device="button-1",
    definition="pressed",
    instance="",
    signal_class=SignalClass.PANIC,
    priority=Priority.CRITICAL,
    state="unack_active",
    place=Title(zh="门厅 · 前台", en="Entrance · Reception desk"),
    title=Title(zh="紧急按钮被按下", en="Panic button pressed"),
    response=Title(zh="立即到场并报警", en="Go there at once and call the police"),
    raised_at=datetime(2026, 11, 21, 14, 5, 6, 700000, UTC),
    occurrences=2,
    late=False,
    responder="guard",
    responder_title=Title(zh="值班员", en="Guard on duty"),
    round=2,
    step=1,
    repetition=0,
    link="https://hub.example/alarms/11111111-2222-5333-8444-555555555555",
)
