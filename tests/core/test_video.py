"""Links into the video system: which templates hold, and that what is filled in stays in its place."""

from datetime import UTC, datetime
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.errors import BadInput
from hub.video import check_template, link

AT = datetime(2026, 11, 21, 8, 0, tzinfo=UTC)
GOOD = "https://video.example:8443/live?camera={device}&place={institution}/{zone}&from={at}&t={unix}"


def test_a_template_is_filled_with_what_is_to_be_seen() -> None:
    assert check_template(GOOD) == GOOD
    found = link(GOOD, institution="sun", zone="nap", position="wall", device="cam-1", at=AT)
    assert found == (
        "https://video.example:8443/live?camera=cam-1&place=sun/nap&from=2026-11-21T08%3A00%3A00Z&t=1795248000"
    )


@pytest.mark.parametrize(
    "template",
    [
        "javascript:alert('{device}')",
        "data:text/html,{device}",
        "//video.example/{device}",
        "https://{device}/live",
        "https://video.example",
        'https://video.example/{device}"><script>',
        "https://video.example/ {device}",
        "https://user@video.example/{device}",
        "https://video.example/live",
        "https://video.example/{camera}",
        "https://video.example/{device}{",
        "https://video.example/{{device}}",
        "https://video.example/{device}" + "a" * 500,
        "",
    ],
)
def test_a_template_that_could_lead_elsewhere_or_means_nothing_is_refused(template: str) -> None:
    with pytest.raises(BadInput):
        check_template(template)


@given(st.text(min_size=1, max_size=40).filter(lambda text: not any("\ud800" <= sign <= "\udfff" for sign in text)))
def test_what_is_filled_in_cannot_leave_its_place(device: str) -> None:
    found = urlsplit(link(GOOD, institution="sun", zone=None, position=None, device=device, at=AT))
    assert (found.scheme, found.netloc, found.path, found.fragment) == ("https", "video.example:8443", "/live", "")
    assert parse_qs(found.query, keep_blank_values=True)["camera"] == [device]


@given(st.text(max_size=60))
def test_any_text_is_a_template_or_refused(text: str) -> None:
    try:
        check_template("https://video.example/" + text)
    except BadInput:
        return
    link("https://video.example/" + text, institution="i", zone="z", position="p", device="d", at=AT)
