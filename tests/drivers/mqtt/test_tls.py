"""TLS at a real Mosquitto: an authority's file, one pinned certificate, our own certificate; whoever is not who it should be gets no password."""

import datetime
import hashlib
import ipaddress
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from pydantic import ValidationError

from drivers.mqtt import Address, Device, Endpoint, driver
from hub.driver import Binding, PushLink
from hub.engine import Prefix
from hub.errors import LinkDown
from hub.model import Series
from tests.brokers import HOST, PASSWORD, OwnBroker

BOUND = [Binding(Series("smoke-1", "smoke"), Device(topic="t"), Address(pointer="/smoke"), "bool")]


class Identity(NamedTuple):
    certificate: Path
    key: Path
    fingerprint: str


def identity(folder: Path, name: str, issuer: "Issuer | None" = None) -> Identity:
    """A certificate of `issuer`, or of its own; for 127.0.0.1."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject if issuer is None else issuer.name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=30))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(HOST))]), critical=False)
    )
    made = builder.sign(key if issuer is None else issuer.key, hashes.SHA256())
    files = Identity(folder / f"{name}.crt", folder / f"{name}.key", made.fingerprint(hashes.SHA256()).hex())
    files.certificate.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    plain = serialization.NoEncryption()
    files.key.write_bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain))
    return files


class Issuer:
    """An authority of a test's own."""

    def __init__(self, folder: Path) -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test authority")])
        now = datetime.datetime.now(datetime.UTC)
        made = (
            x509.CertificateBuilder()
            .subject_name(self.name)
            .issuer_name(self.name)
            .public_key(self.key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(days=1))
            .not_valid_after(now + datetime.timedelta(days=30))
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .sign(self.key, hashes.SHA256())
        )
        self.file = folder / "authority.crt"
        self.file.write_bytes(made.public_bytes(serialization.Encoding.PEM))


class TlsBroker(OwnBroker):
    def __init__(self, program: str, folder: Path, *, demanding: bool) -> None:
        super().__init__(program, folder)
        self.authority = Issuer(folder)
        self.own = identity(folder, "broker", self.authority)
        self.client = identity(folder, "hub", self.authority)
        self.stranger = identity(folder, "stranger")
        conf = folder / "mosquitto.conf"
        lines = [f"cafile {self.authority.file}", f"certfile {self.own.certificate}", f"keyfile {self.own.key}"]
        if demanding:
            lines += ["require_certificate true", "use_identity_as_username true"]
        conf.write_text(conf.read_text() + "\n".join(lines) + "\n")

    def endpoint(self, **more: Any) -> Endpoint:
        settings = {"host": HOST, "port": self.port, "tls": True, "username": "hub", "password": PASSWORD}
        return Endpoint.model_validate({**settings, **more})


@pytest.fixture(params=[False, True], ids=["plain", "demanding"])
def broker(request: pytest.FixtureRequest, engine_prefix: Prefix, tmp_path: Path) -> Iterator[TlsBroker]:
    running = TlsBroker(str(engine_prefix.program("mosquitto")), tmp_path, demanding=request.param)
    running.start()
    try:
        yield running
    finally:
        running.kill()


def own(broker: TlsBroker) -> dict[str, str]:
    return {"certificate_file": str(broker.client.certificate), "key_file": str(broker.client.key)}


async def hears(endpoint: Endpoint) -> None:
    async with driver.connect(endpoint, BOUND) as link:
        assert isinstance(link, PushLink)
        await link._live.publish("t", b'{"smoke":true}')
        delivery = await anext(aiter(link.deliveries()))
        assert [one.raw for one in delivery.samples] == [True]
        await delivery.settle()


async def test_a_broker_whose_authority_we_know_and_one_whose_certificate_we_pinned_are_heard(
    broker: TlsBroker,
) -> None:
    await hears(broker.endpoint(ca_file=str(broker.authority.file), **own(broker)))
    await hears(broker.endpoint(fingerprint=broker.own.fingerprint, **own(broker)))
    colons = ":".join(broker.own.fingerprint[at : at + 2] for at in range(0, 64, 2)).upper()
    await hears(broker.endpoint(fingerprint=colons, **own(broker)))


async def test_a_broker_that_is_not_the_one_we_trust_is_a_link_down_and_never_gets_the_password(
    broker: TlsBroker, tmp_path: Path
) -> None:
    other = hashlib.sha256(b"another").hexdigest()
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"ca_file": str(broker.stranger.certificate)}, "certificate verify failed"),
        ({}, "certificate verify failed"),  # the system's authorities do not know it
        ({"fingerprint": other}, "not the one of the fingerprint"),
    ]
    for settings, said in wrong:
        with pytest.raises(LinkDown, match=said) as caught:
            await hears(broker.endpoint(**settings, **own(broker)))
        assert PASSWORD not in str(caught.value)


async def test_a_certificate_of_another_host_is_refused_though_its_authority_is_known(broker: TlsBroker) -> None:
    with pytest.raises(LinkDown, match="certificate verify failed"):
        await hears(broker.endpoint(host="localhost", ca_file=str(broker.authority.file), **own(broker)))


async def test_a_broker_that_demands_certificates_lets_nobody_in_without_one_of_its_authority(
    engine_prefix: Prefix, tmp_path: Path
) -> None:
    broker = TlsBroker(str(engine_prefix.program("mosquitto")), tmp_path, demanding=True)
    broker.start()
    try:
        ca = {"ca_file": str(broker.authority.file)}
        stranger = {
            "certificate_file": str(broker.stranger.certificate),
            "key_file": str(broker.stranger.key),
        }
        for who in ({}, stranger):
            with pytest.raises(LinkDown):
                await hears(broker.endpoint(**ca, **who))
        await hears(broker.endpoint(**ca, **own(broker)))
    finally:
        broker.kill()


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"ca_file": "/nowhere/ca.pem"}, "ca_file /nowhere/ca.pem: No such file"),
        ({"certificate_file": __file__}, f"certificate_file {__file__}: "),
    ],
)
async def test_a_file_that_cannot_be_used_is_named(more: dict[str, str], said: str) -> None:
    with pytest.raises(LinkDown, match=said):
        async with driver.connect(Endpoint.model_validate({"host": HOST, "tls": True, **more}), BOUND):
            pytest.fail("was connected")


async def test_a_plain_broker_is_no_tls_broker(engine_prefix: Prefix, tmp_path: Path) -> None:
    broker = OwnBroker(str(engine_prefix.program("mosquitto")), tmp_path)
    broker.start()
    try:
        with pytest.raises(LinkDown):
            await hears(Endpoint.model_validate({"host": HOST, "port": broker.port, "tls": True}))
    finally:
        broker.kill()


def test_tls_takes_its_own_port_and_its_keys_go_together() -> None:
    for yes in (True, 1, "true", "On", "yes"):
        assert Endpoint.model_validate({"host": "h", "tls": yes}).port == 8883
    assert Endpoint.model_validate({"host": "h", "tls": "no"}).port == 1883
    assert Endpoint.model_validate({"host": "h", "tls": True, "port": 1883}).port == 1883
    for settings, named in (
        ({"ca_file": "/a"}, "ca_file: tls is off"),
        ({"tls": True, "ca_file": "a"}, "absolute"),
        ({"tls": True, "ca_file": "/a", "fingerprint": "00" * 32}, "fingerprint: not together"),
        ({"tls": True, "fingerprint": "00"}, "fingerprint"),
        ({"tls": True, "key_file": "/a"}, "no certificate_file"),
    ):
        with pytest.raises(ValidationError, match=named):
            Endpoint.model_validate({"host": "h", **settings})
