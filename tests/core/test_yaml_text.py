"""Our own YAML files: the parser in C gives what the one in Python gives, and no text ends the process."""

from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from hub import yaml_text
from hub.config import data_folder
from hub.errors import BadInput
from hub.rulepacks import read_yaml


def test_every_shipped_file_reads_the_same_by_both_parsers() -> None:
    files = [*[*data_folder("device-profiles").rglob("*.yaml")][::4], *data_folder("rule-packs").glob("*.yaml")]
    assert len(files) > 10
    for path in files:
        text = path.read_text("utf-8")
        assert yaml_text.load(text) == yaml.safe_load(text), path


@pytest.mark.parametrize(
    "text",
    [
        "[" * 200_000,
        "{a: " * 50_000,
        "- " * 5_000,
        "a: 1\na: 2\n",
        "\x00",
        "a: !!python/object/apply:os.getcwd []",
        "a: *b",
    ],
)
def test_what_is_nested_too_deep_doubled_or_not_safe_is_an_error_that_names_the_file(text: str, tmp_path: Path) -> None:
    path = tmp_path / "odd.yaml"
    path.write_text(text, "utf-8")
    with pytest.raises(BadInput, match=r"odd\.yaml"):
        read_yaml(path, "odd")


@given(st.text(alphabet="ab:-[]{}&*!'\"|>#% \n\t0.,?é\x07", max_size=60))
def test_any_text_is_a_value_or_an_error(text: str) -> None:
    try:
        yaml_text.load(text)
    except (yaml.YAMLError, ValueError, RecursionError):
        return
