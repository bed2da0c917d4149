"""Several files are one manifest, and the hub's pointers lead back to file and line."""

from pathlib import Path

import pytest

from provisioning.errors import BadManifest, Place
from provisioning.sources import files_of, read_manifest


def write(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, "utf-8")
    return path


def test_the_lists_of_all_files_are_joined_in_order(tmp_path: Path) -> None:
    one = write(tmp_path, "one.yaml", "institutions:\n  - id: a\nregister: []\n")
    two = write(tmp_path, "two.yaml", "# second\ninstitutions:\n  - id: b\n  - id: c\n    title: {zh: 丙}\n")
    manifest = read_manifest([one, two], {})
    assert manifest.content == {
        "institutions": [{"id": "a"}, {"id": "b"}, {"id": "c", "title": {"zh": "丙"}}],
        "register": [],
    }
    assert manifest.place("/institutions/2/title/zh") == Place(str(two), 5)
    assert manifest.place("/institutions/0/id") == Place(str(one), 2)


def test_a_key_that_is_missing_stands_where_it_should_be(tmp_path: Path) -> None:
    path = write(tmp_path, "one.yaml", "institutions:\n  - id: a\n    zones:\n      - id: hall\n")
    manifest = read_manifest([path], {})
    assert str(manifest.problem("/institutions/0/zones/0/purpose", "Field required")) == (
        f"{path}:4: institutions/0/zones/0/purpose: Field required"
    )


def test_a_folder_stands_for_the_files_below_it_and_none_is_read_twice(tmp_path: Path) -> None:
    b = write(tmp_path, "b.yaml", "")
    a = write(tmp_path, "sub/a.yml", "")
    write(tmp_path, "notes.txt", "not a manifest")
    assert files_of([tmp_path, b]) == [b, a]


def test_every_file_that_cannot_be_taken_is_named(tmp_path: Path) -> None:
    tab = write(tmp_path, "tab.yaml", "a:\n\tb: 1\n")
    scalar = write(tmp_path, "scalar.yaml", "just a word\n")
    mapping = write(tmp_path, "mapping.yaml", "register: []\ninstitutions: {a: 1}\n")
    missing = tmp_path / "missing.yaml"
    with pytest.raises(BadManifest) as caught:
        read_manifest([tab, scalar, mapping, missing], {})
    assert [str(problem) for problem in caught.value.problems] == [
        f"{tab}:2: a tab where YAML wants spaces",
        f"{scalar}:1: a manifest is a mapping of lists (institutions, register, …)",
        f"{mapping}:2: institutions: must be a list",
        f"{missing}:1: cannot be read: No such file or directory",
    ]


def test_a_folder_without_manifests_is_a_mistake(tmp_path: Path) -> None:
    with pytest.raises(BadManifest, match="holds no"):
        files_of([tmp_path])
