"""What the private engine is made of: the packages whose files the loader asks for, by name, and nothing else.

apt's own closure would bring LLVM and perl and is more than twice as large. `hub.engine.fetch` checks after unpacking
that every library comes from these folders, so a name that is missing here shows at once. Measured on trixie, amd64.
"""

import hashlib
import json
import platform
from typing import NamedTuple


class Recipe(NamedTuple):
    """One folder of unpacked packages. `base` is the recipe whose libraries it uses too."""

    name: str
    packages: tuple[str, ...]
    prune: tuple[str, ...]
    programs: tuple[str, ...]
    base: "Recipe | None" = None

    @property
    def key(self) -> str:
        """Names the folder: changes whenever what would be unpacked, or how, changes."""
        base = "" if self.base is None else self.base.key
        text = json.dumps([_LAYOUT, platform.machine(), base, self.packages, self.prune, self.programs])
        return f"{self.name}-{hashlib.sha256(text.encode()).hexdigest()[:16]}"


_LAYOUT = 1
"""Raise it when fetch.py treats the unpacked files in another way."""

_DOCUMENTS = (
    "etc",
    "usr/share/doc",
    "usr/share/man",
    "usr/share/locale",
    "usr/share/lintian",
    "usr/share/bug",
    "usr/lib/*/gconv",
    "usr/lib/systemd",
)

CORE = Recipe(
    name="core",
    packages=(
        *("postgresql-17", "postgresql-17-timescaledb", "mosquitto"),
        *("libc6", "libgcc-s1", "libstdc++6", "libssl3t64", "zlib1g", "libzstd1", "liblz4-1", "liblzma5", "libxxhash0"),
        *("libpq5", "libicu76", "libxml2", "libldap2", "libsasl2-2", "libpam0g", "libaudit1", "libcap-ng0", "libcap2"),
        *("libgssapi-krb5-2", "libkrb5-3", "libk5crypto3", "libkrb5support0", "libcom-err2", "libkeyutils1"),
        *("libselinux1", "libpcre2-8-0", "libsystemd0"),
        *("libcjson1", "libdlt2", "libwebsockets19t64", "libwrap0"),
    ),
    prune=(
        *_DOCUMENTS,
        "usr/lib/postgresql/17/lib/bitcode",
        "usr/lib/postgresql/17/lib/llvmjit*",
        "usr/lib/postgresql/17/lib/pgxml.so",
        "usr/lib/postgresql/17/lib/uuid-ossp.so",
    ),
    programs=(
        "usr/lib/postgresql/17/bin/postgres",
        "usr/lib/postgresql/17/bin/initdb",
        "usr/sbin/mosquitto",
        "usr/bin/mosquitto_passwd",
    ),
)
"""PostgreSQL 17 with TimescaleDB (Apache edition), and Mosquitto."""

PEERS = Recipe(
    name="peers",
    packages=(
        *("snmpd", "snmp", "mbpoll", "socat", "mosquitto-clients"),
        *("libsnmp40t64", "libperl5.40", "libcrypt1", "libpci3", "libsensors5", "libudev1"),
        *("libmodbus5", "libmosquitto1"),
    ),
    prune=(*_DOCUMENTS, "usr/lib/*/perl*", "usr/share/perl*", "usr/lib/udev", "usr/lib/modprobe.d"),
    programs=(
        "usr/sbin/snmpd",
        *(f"usr/bin/snmp{tool}" for tool in ("get", "getnext", "set", "walk", "bulkget", "bulkwalk", "trap")),
        "usr/bin/mbpoll",
        "usr/bin/socat1",
        "usr/bin/mosquitto_pub",
        "usr/bin/mosquitto_sub",
        "usr/bin/mosquitto_rr",
    ),
    base=CORE,
)
"""Programs that we did not write, for tests and the demo to speak with."""
