"""From the machine's own apt sources to the sources of one Debian suite: parsing and rewriting, no I/O.

It must not know a mirror: every host comes from what the machine's administrator configured, and so does every key.
"""

import re
from collections.abc import Iterable
from typing import NamedTuple

SUITE = "trixie"
"""The suite whose packages are unpacked: the first with PostgreSQL 17, TimescaleDB and Mosquitto 2.0.21."""

_DEBIAN = frozenset(
    "buster bullseye bookworm trixie forky duke sid unstable testing stable oldstable oldoldstable".split()
)
_ONE_LINE = re.compile(r"^deb\s+(?:\[(?P<options>[^]]*)\]\s+)?(?P<uri>\S+)\s+(?P<suite>\S+)\s*(?P<components>.*)$")
_POCKET = re.compile(r"^(?P<base>[a-z]+)(?P<pocket>-updates|-security|/updates)?$")


class Source(NamedTuple):
    """One archive: where it is, which suite and components, and whose signature it must bear.

    `signed_by` is a keyring's path, a fingerprint or an armoured key (apt's Signed-By); empty means apt's trusted keys.
    """

    uri: str
    suite: str
    components: tuple[str, ...]
    signed_by: str = ""


def parse_deb822(text: str) -> list[Source]:
    """Read a `.sources` file: stanzas of `Field: value`, continued by indented lines; disabled ones are left out."""
    found: list[Source] = []
    for stanza in re.split(r"\n[ \t]*\n", text):
        fields: dict[str, str] = {}
        name = ""
        for line in stanza.splitlines():
            if line.startswith("#"):
                continue
            if line[:1] in (" ", "\t") and name:
                fields[name] += "\n" + line
            elif ":" in line:
                name, value = line.split(":", 1)
                name = name.strip().lower()
                fields[name] = value.strip()
        if "deb" not in fields.get("types", "").split() or fields.get("enabled", "yes").lower() in ("no", "false", "0"):
            continue
        components = tuple(fields.get("components", "").split())
        signed_by = fields.get("signed-by", "")
        for uri in fields.get("uris", "").split():
            found += [Source(uri, suite, components, signed_by) for suite in fields.get("suites", "").split()]
    return found


def parse_list(text: str) -> list[Source]:
    """Read a `.list` file: one `deb [options] uri suite components` a line; `deb-src` lines are left out."""
    found: list[Source] = []
    for line in text.splitlines():
        match = _ONE_LINE.match(line.split("#", 1)[0].strip())
        if match is None:
            continue
        options = dict(option.split("=", 1) for option in (match["options"] or "").split() if "=" in option)
        signed_by = options.get("signed-by", "").split(",")[0]
        found.append(Source(match["uri"], match["suite"], tuple(match["components"].split()), signed_by))
    return found


def of_suite(sources: Iterable[Source], suite: str = SUITE) -> list[Source]:
    """The machine's Debian archives with their suite replaced by `suite`, pocket kept (-updates, -security).

    Left out: archives of others, backports, flat repositories, discs. No option that weakens the check of
    signatures (Trusted, Allow-Insecure) is carried over, because only the four fields of `Source` are.
    """
    found: dict[Source, None] = {}
    for source in sources:
        match = _POCKET.match(source.suite)
        if match is None or match["base"] not in _DEBIAN or "main" not in source.components:
            continue
        if source.uri.startswith("cdrom:"):
            continue
        pocket = (match["pocket"] or "").replace("/updates", "-security")
        found[source._replace(suite=suite + pocket, components=("main",))] = None
    return list(found)


def to_deb822(sources: Iterable[Source]) -> str:
    """Write sources as the text of a `.sources` file."""
    stanzas = []
    for source in sources:
        lines = ["Types: deb", f"URIs: {source.uri}", f"Suites: {source.suite}"]
        lines.append(f"Components: {' '.join(source.components)}")
        if source.signed_by:
            lines.append(f"Signed-By: {source.signed_by}")
        stanzas.append("\n".join(lines) + "\n")
    return "\n".join(stanzas)
