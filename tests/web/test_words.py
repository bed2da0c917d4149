"""Every word that a page asks for is there in Chinese and English."""

import re
from importlib.resources import files

import yaml

from hub.core.alarms import AlarmEvent, AlarmState, Refused
from hub.model import Exercise, Priority, SignalClass
from hub.profiles import Kind
from hub.web.acting import DEEDS
from hub.web.rendering import BEAT_SECONDS
from hub.web.words import words

TEMPLATES = [one.read_text("utf-8") for one in files("hub.web").joinpath("templates").iterdir()]


def test_every_word_has_chinese_and_english() -> None:
    text = files("hub.web").joinpath("translations", "words.yaml").read_text("utf-8")
    for key, pair in yaml.safe_load(text).items():
        assert isinstance(key, str)
        assert len(pair) == 2, key
        assert all(isinstance(one, str) and one.strip() for one in pair), key
        assert re.search(r"[\u4e00-\u9fff]", pair[0]), key
        assert not re.search(r"[\u4e00-\u9fff]", pair[1]), key


def test_every_word_that_a_template_names_exists_and_none_is_left_over() -> None:
    named = {key for text in TEMPLATES for key in re.findall(r"\b(?:t|words)\(\"([a-z_.]+)\"[,)]", text)}
    assert named - set(words()) == set()
    stems = {key for text in TEMPLATES for key in re.findall(r"\b(?:t|words)\(\"([a-z_.]+\.)\" ~", text)}
    spoken = {"done.", "refused.", "error.", "login.", "link.", "field."}
    loose = {"byother", "nofirst", "acknowledge", "confirm", "reset", "unshelve", "close", "agree"}
    for key in words():
        assert key in named | loose or key.startswith(tuple(stems | spoken)), f"nobody says {key!r}"


def test_every_name_that_the_hub_may_show_has_a_word() -> None:
    for stem, names in (
        ("class", SignalClass),
        ("state", AlarmState),
        ("priority", Priority),
        ("event", AlarmEvent),
        ("exercise", Exercise),
        ("kind", Kind),
    ):
        for name in names:
            assert f"{stem}.{name.value}" in words(), name
    for reason in Refused:
        assert f"refused.{reason.name.lower()}" in words(), reason
    for verb in DEEDS:
        assert f"done.{verb}" in words()


def test_silence_is_said_within_ten_seconds() -> None:
    text = files("hub.web").joinpath("static", "live.js").read_text("utf-8")
    assert "const SILENCE = 3000 * Number(document.body.dataset.beat);" in text
    assert 3 * BEAT_SECONDS + 1 <= 10  # a page looks once a second
