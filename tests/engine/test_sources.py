"""Sources: the machine's own mirrors and keys, with another suite; nothing else is taken over."""

from hypothesis import given
from hypothesis import strategies as st

from hub.engine.sources import Source, of_suite, parse_deb822, parse_list, to_deb822

DEB822 = """\
# from the installer
Types: deb deb-src
URIs: http://mirror.example/debian http://second.example/debian
Suites: bookworm bookworm-updates
Components: main contrib
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

Types: deb-src
URIs: http://mirror.example/debian
Suites: bookworm
Components: main

Types: deb
Enabled: no
URIs: http://off.example/debian
Suites: bookworm
Components: main

Types: deb
URIs: http://mirror.example/debian-security
Suites: bookworm-security
Components: main
Trusted: yes
"""


def test_a_deb822_file_gives_every_mirror_and_suite_with_its_keyring() -> None:
    keyring = "/usr/share/keyrings/debian-archive-keyring.gpg"
    assert parse_deb822(DEB822) == [
        Source("http://mirror.example/debian", "bookworm", ("main", "contrib"), keyring),
        Source("http://mirror.example/debian", "bookworm-updates", ("main", "contrib"), keyring),
        Source("http://second.example/debian", "bookworm", ("main", "contrib"), keyring),
        Source("http://second.example/debian", "bookworm-updates", ("main", "contrib"), keyring),
        Source("http://mirror.example/debian-security", "bookworm-security", ("main",)),
    ]


def test_an_armoured_key_inside_a_stanza_is_kept_line_by_line() -> None:
    key = "\n -----BEGIN PGP PUBLIC KEY BLOCK-----\n .\n mDMEabc=\n -----END PGP PUBLIC KEY BLOCK-----"
    text = f"Types: deb\nURIs: http://m.example/d\nSuites: bookworm\nComponents: main\nSigned-By:{key}\n"
    (source,) = parse_deb822(text)
    assert source.signed_by == key
    assert parse_deb822(to_deb822([source])) == [source]


def test_the_one_line_format_gives_the_same() -> None:
    text = """\
# deb http://old.example/debian bookworm main
deb [arch=amd64 signed-by=/k.gpg] http://mirror.example/debian bookworm main contrib  # a remark
deb http://mirror.example/debian-security bookworm-security main
deb-src http://mirror.example/debian bookworm main
nonsense
"""
    assert parse_list(text) == [
        Source("http://mirror.example/debian", "bookworm", ("main", "contrib"), "/k.gpg"),
        Source("http://mirror.example/debian-security", "bookworm-security", ("main",)),
    ]


def test_the_suite_is_replaced_and_its_pocket_kept() -> None:
    machine = [
        Source("http://m.example/debian", "bookworm", ("main",)),
        Source("http://m.example/debian", "bookworm-updates", ("main",)),
        Source("http://m.example/security", "bookworm-security", ("main",)),
        Source("http://m.example/security", "buster/updates", ("main",)),
    ]
    assert [(source.uri, source.suite) for source in of_suite(machine)] == [
        ("http://m.example/debian", "trixie"),
        ("http://m.example/debian", "trixie-updates"),
        ("http://m.example/security", "trixie-security"),
    ]


def test_other_peoples_archives_backports_flat_repositories_and_discs_are_left_out() -> None:
    machine = [
        Source("http://node.example/deb", "nodistro", ("main",)),
        Source("http://m.example/debian", "bookworm-backports", ("main",)),
        Source("http://m.example/debian", "./", ()),
        Source("http://m.example/debian", "bookworm", ("contrib",)),
        Source("http://ubuntu.example/ubuntu", "noble", ("main",)),
        Source("cdrom:[Debian]/", "bookworm", ("main",)),
    ]
    assert of_suite(machine) == []


def test_a_machine_that_already_has_the_suite_keeps_its_sources() -> None:
    source = Source("http://m.example/debian", "trixie", ("main",), "/k.gpg")
    assert of_suite([source, source]) == [source]


def test_no_option_that_weakens_the_check_of_signatures_is_carried_over() -> None:
    weak = "Types: deb\nURIs: http://m.example/d\nSuites: trixie\nComponents: main\nTrusted: yes\nAllow-Insecure: yes\n"
    line = "deb [trusted=yes allow-insecure=yes] http://m.example/d trixie main"
    for sources in (parse_deb822(weak), parse_list(line)):
        assert to_deb822(of_suite(sources)).splitlines() == [
            "Types: deb",
            "URIs: http://m.example/d",
            "Suites: trixie",
            "Components: main",
        ]


WORD = st.text(alphabet="abcdefghijklmnopqrstuvwxyz0123456789./-", min_size=1, max_size=20).map(lambda word: f"x{word}")


@given(st.lists(st.builds(Source, WORD, WORD, st.tuples(WORD), WORD | st.just("")), max_size=5))
def test_what_is_written_is_read_back(sources: list[Source]) -> None:
    assert parse_deb822(to_deb822(sources)) == sources


@given(st.text(max_size=400))
def test_no_text_at_all_breaks_the_readers(text: str) -> None:
    assert isinstance(parse_deb822(text), list)
    assert isinstance(parse_list(text), list)
