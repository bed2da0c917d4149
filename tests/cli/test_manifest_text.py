"""The careful YAML of manifests: what is taken, what is refused, and that every value keeps its line."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provisioning.text import MAX_BYTES, MAX_DEPTH, Refused, pointer_part, read


def value(text: str, **environment: str) -> Any:
    return read(text.encode(), environment).value


def refusal(raw: str | bytes, **environment: str) -> tuple[int, str]:
    with pytest.raises(Refused) as caught:
        read(raw if isinstance(raw, bytes) else raw.encode(), environment)
    return caught.value.line, caught.value.reason


def test_a_word_that_yaml_1_1_takes_for_a_boolean_stays_a_word() -> None:
    assert value("{a: no, b: on, c: Yes, d: 12:30, e: true, f: null, g: 1e3, h: -4}") == {
        "a": "no",
        "b": "on",
        "c": "Yes",
        "d": "12:30",
        "e": True,
        "f": None,
        "g": 1000.0,
        "h": -4,
    }


def test_every_value_keeps_the_line_of_its_key_or_item() -> None:
    lines = read(b"# first\na: 1\nb:\n  - x: 1\n    y/z: 2\n  - 3\n", {}).lines
    assert lines == {"": 2, "/a": 2, "/b": 3, "/b/0": 4, "/b/0/x": 4, "/b/0/y~1z": 5, "/b/1": 6}


def test_an_empty_file_is_an_empty_document() -> None:
    assert read(b"# nothing but a comment\n", {}).value is None


@pytest.mark.parametrize(
    ("raw", "line", "says"),
    [
        ("a: &x 1\nb: 2", 1, "anchors and aliases"),
        ("a: 1\nb: *x", 2, "anchors and aliases"),
        ("a:\n  - &bomb [1]\n  - 2", 2, "anchors and aliases"),
        ("a: !!python/object/apply:os.system [id]", 1, "tag"),
        ("a: !secret x", 1, "tag"),
        ("a: 1\nb: 2\na: 3", 3, "stands here already, in line 1"),
        ("a: 1\n---\nb: 2", 2, "one document a file"),
        ("a:\n\tb: 1", 2, "a tab where YAML wants spaces"),
        ("a: 1\n1404: x", 2, "the key 1404 must be a text"),
        ("? [a, b]\n: c", 1, "a key must be a word"),
        ("code: 0403", 1, "begins with a zero"),
        ("code: 12345678901234567890", 1, "too large"),
        ("x: .inf", 1, "not a finite number"),
        ("x: .NaN", 1, "not a finite number"),
        ("x: 1e999", 1, "too large"),
        ("a: 1\nb: 'x", 2, "not YAML"),
        ("a: b: c", 1, "not YAML"),
        ('a: 1\nb: "\\0"', 2, "a NUL character"),
        ('a: "\\ud800"', 1, "Unicode"),
        (b"a: 1\nb: x\x00", 2, "a NUL byte"),
        (b"a: 1\n\xff", 2, "not UTF-8 (byte 0xff)"),
        (b"a: \xed\xa0\x80", 1, "not UTF-8"),
        (b"a: 1\nb: \x07", 2, "U+0007"),
    ],
)
def test_what_is_refused_names_its_line_and_reason(raw: str | bytes, line: int, says: str) -> None:
    at, reason = refusal(raw)
    assert (at, says in reason) == (line, True), reason


def test_depth_has_a_limit_that_is_met_before_any_recursion() -> None:
    assert value("[" * MAX_DEPTH + "]" * MAX_DEPTH) is not None
    assert "nested deeper" in refusal("[" * 100_000)[1]


def test_size_has_a_limit() -> None:
    assert "MiB" in refusal(b"#" * (MAX_BYTES + 1))[1]


def test_a_plain_variable_is_read_as_if_it_stood_there_and_a_quoted_one_stays_text() -> None:
    text = 'port: ${env:PORT}\npath: "/dev/${env:TTY}"\ncode: "${env:PORT}"\nliteral: "$${env:PORT}"'
    assert value(text, PORT="1502", TTY="pts/3") == {
        "port": 1502,
        "path": "/dev/pts/3",
        "code": "1502",
        "literal": "${env:PORT}",
    }


def test_a_variable_that_is_not_set_names_itself_and_its_line() -> None:
    assert refusal("a: 1\nsecret: ${env:SECRET}") == (2, "the environment variable SECRET is not set")
    assert "names no environment variable" in refusal("secret: ${env:}")[1]


def test_what_a_variable_holds_is_never_in_an_error() -> None:
    assert "0815" not in refusal("secret: ${env:SECRET}", SECRET="08154711")[1]
    assert "\ud800" not in refusal("secret: ${env:SECRET}", SECRET="hush\ud800")[1]


def test_a_value_in_a_variable_cannot_bring_structure_with_it() -> None:
    assert value("a: ${env:X}", X="[1, {b: 2}]\nc: 3") == {"a": "[1, {b: 2}]\nc: 3"}


names = st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"]), min_size=1, max_size=8)
trees = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**18), 10**18) | names,
    lambda below: st.lists(below, max_size=4) | st.dictionaries(names, below, max_size=4),
    max_leaves=20,
)


def pointers(tree: Any, at: str = "") -> list[str]:
    parts = enumerate(tree) if isinstance(tree, list) else tree.items() if isinstance(tree, dict) else ()
    return [at, *(found for key, below in parts for found in pointers(below, f"{at}/{pointer_part(key)}"))]


@given(trees)
def test_json_is_read_as_it_is_and_every_value_has_a_line(tree: Any) -> None:
    document = read(json.dumps(tree, ensure_ascii=False).replace("${", "$ {").encode(), {})
    assert "${" in json.dumps(tree) or document.value == tree
    assert set(document.lines) == set(pointers(document.value))


@given(st.binary(max_size=200) | st.text(max_size=80).map(lambda text: text.encode("utf-8", "surrogatepass")))
def test_any_bytes_are_read_or_refused_and_nothing_else(raw: bytes) -> None:
    try:
        line = len(read(raw, {}).lines) and 1
    except Refused as refused:
        line = refused.line
    assert 0 <= line <= len(raw) + 1
