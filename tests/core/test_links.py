"""Signed links: what opens one, and what does not."""

from uuid import UUID

from hypothesis import assume, given
from hypothesis import strategies as st

from hub.core.links import opened, sign

KEY = bytes(range(32))
NOW = 1_795_000_000
keys = st.binary(min_size=32, max_size=32)


def parts(path: str) -> tuple[str, str, str]:
    empty, n, notification, expires, mac = path.split("/")
    assert (empty, n) == ("", "n")
    return notification, expires, mac


@given(keys, st.uuids(), st.integers(1, 0xFFFFFFFF), st.integers(0, 0xFFFFFFFF))
def test_a_link_opens_until_it_expires_and_not_after(key: bytes, notification: UUID, expires: int, now: int) -> None:
    path = sign(key, notification, expires)
    assert len(path) < 70
    assert opened(key, *parts(path), now) == (notification if now < expires else None)


@given(st.uuids(), st.uuids(), keys, st.integers(NOW + 1, NOW + 10**6))
def test_a_link_of_another_key_notification_or_expiry_opens_nothing(
    one: UUID, other: UUID, key: bytes, until: int
) -> None:
    assume(one != other)
    assume(key != KEY)
    notification, expires, mac = parts(sign(KEY, one, until))
    assert opened(key, notification, expires, mac, NOW) is None
    assert opened(KEY, parts(sign(KEY, other, until))[0], expires, mac, NOW) is None
    assert opened(KEY, notification, f"{until + 1:x}", mac, NOW) is None


@given(st.integers(0, 200), st.integers(0, 255))
def test_a_link_with_any_sign_changed_opens_nothing(place: int, sign_: int) -> None:
    path = sign(KEY, UUID(int=7), NOW + 60)
    place = 3 + place % (len(path) - 3)
    assume(chr(sign_) not in (path[place], "/") and path[place] != "/")
    changed = path[:place] + chr(sign_) + path[place + 1 :]
    assert opened(KEY, *parts(changed), NOW) is None


@given(st.text(max_size=60), st.text(max_size=60), st.text(max_size=60))
def test_garbage_opens_nothing(notification: str, expires: str, mac: str) -> None:
    assert opened(KEY, notification, expires, mac, 0) is None
