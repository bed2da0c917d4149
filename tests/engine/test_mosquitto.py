"""The broker: passwords, rules, and how soon a change counts. Real Mosquitto, real clients of Mosquitto's own."""

import base64
import re
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.engine import Prefix, mosquitto_hash, read_passwords, write_passwords
from hub.engine.identity import usable_identity
from hub.engine.mosquitto import Mosquitto, Ports
from hub.errors import BadInput, EngineUnavailable
from hub.testing import wait_until
from tests.conftest import EngineProcess

Client = tuple[str, str]


@pytest.fixture
def listener(engine: EngineProcess) -> list[str]:
    """How Mosquitto's clients find the listener for devices."""
    if not engine.first.password_file:
        pytest.skip("the broker of ANXIN_MQTT_URL has rules of its own")
    return ["-h", engine.first.device_host, "-p", str(engine.first.device_port), "-V", "5", "-q", "1"]


@pytest.fixture
def hub_options(engine: EngineProcess) -> list[str]:
    """The same for the hub's listener and user."""
    url = urlsplit(engine.first.mqtt_url)
    user, password = url.username or "", url.password or ""
    return ["-h", str(url.hostname), "-p", str(url.port), "-u", user, "-P", password, "-V", "5", "-q", "1"]


def as_client(client: Client) -> list[str]:
    return ["-u", client[0], "-P", client[1]]


@pytest.fixture
def clients(make_mqtt_user: Callable[[str], str], peers: Prefix, listener: list[str]) -> tuple[Client, Client]:
    """Two edges that the broker knows."""
    pair = [(name, make_mqtt_user(name)) for name in ("edge-a", "edge-b")]
    wait_until(lambda: all(can_publish(peers, listener, c, f"anxin/v1/0/{c[0]}/up/bulk") for c in pair))
    return pair[0], pair[1]


def publish(peers: Prefix, options: list[str], client: Client | None, topic: str, text: str) -> str:
    """What mosquitto_pub complains about; empty when the broker took it."""
    credentials = [] if client is None else as_client(client)
    command = [peers.program("mosquitto_pub"), *options, *credentials, "-t", topic, "-m", text]
    done = subprocess.run(command, capture_output=True, text=True, timeout=10)
    return (done.stdout + done.stderr).strip()


def can_publish(peers: Prefix, options: list[str], client: Client, topic: str) -> bool:
    return publish(peers, options, client, topic, "x") == ""


class Subscriber:
    """A mosquitto_sub that prints what it gets, from a subscription that is known to stand."""

    def __init__(self, command: list[str], output: Path) -> None:
        self._output = output
        with output.open("wb") as file:
            self.process = subprocess.Popen(
                ["/usr/bin/stdbuf", "-oL", *command, "-d", "-F", "got %t %p"], stdout=file, stderr=subprocess.STDOUT
            )
        wait_until(lambda: "Subscribed (mid" in self.text)

    @property
    def text(self) -> str:
        return self._output.read_text()

    @property
    def messages(self) -> list[str]:
        return [line.removeprefix("got ") for line in self.text.splitlines() if line.startswith("got ")]

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(5)


@pytest.fixture
def subscribe(peers: Prefix, tmp_path: Path, request: pytest.FixtureRequest) -> Callable[..., Subscriber]:
    """Subscribe to a topic with the given options; ended with the test."""

    def start(options: list[str], topic: str) -> Subscriber:
        output = tmp_path / f"subscriber-{topic.replace('/', '_')}"
        subscriber = Subscriber([peers.program("mosquitto_sub"), *options, "-t", topic], output)
        request.addfinalizer(subscriber.stop)
        return subscriber

    return start


def test_what_a_client_writes_below_its_own_up_reaches_the_hub_and_nothing_else_does(
    peers: Prefix,
    listener: list[str],
    hub_options: list[str],
    clients: tuple[Client, Client],
    subscribe: Callable[..., Subscriber],
) -> None:
    first, _ = clients
    hub = subscribe(hub_options, "anxin/v1/+/+/up/urgent")
    assert "Not authorized" in publish(peers, listener, first, "anxin/v1/3/edge-b/up/urgent", "forged")
    assert "Not authorized" in publish(peers, listener, first, "anxin/v1/3/edge-a/down/urgent", "forged")
    assert "Not authorized" in publish(peers, listener, first, "$SYS/broker/version", "forged")
    assert publish(peers, listener, first, "anxin/v1/3/edge-a/up/urgent", "pressed") == ""
    wait_until(lambda: hub.messages)
    assert hub.messages == ["anxin/v1/3/edge-a/up/urgent pressed"]


def test_a_client_reads_its_own_down_and_nobody_elses(
    peers: Prefix,
    listener: list[str],
    hub_options: list[str],
    clients: tuple[Client, Client],
    subscribe: Callable[..., Subscriber],
) -> None:
    first, _ = clients
    everything = subscribe([*listener, *as_client(first)], "#")
    for topic in ("anxin/v1/3/edge-b/down/bulk", "anxin/v1/3/edge-b/up/bulk", "anxin/v1/3/edge-a/down/bulk"):
        assert publish(peers, hub_options, None, topic, "confirmed") == ""
    wait_until(lambda: everything.messages)
    assert everything.messages == ["anxin/v1/3/edge-a/down/bulk confirmed"]


def test_nobody_comes_in_without_a_password_or_with_a_wrong_one(
    peers: Prefix, listener: list[str], clients: tuple[Client, Client]
) -> None:
    topic = "anxin/v1/3/edge-a/up/bulk"
    assert "Not authorized" in publish(peers, listener, None, topic, "x")
    assert "Not authorized" in publish(peers, listener, ("edge-a", "guessed"), topic, "x")
    assert "Not authorized" in publish(peers, listener, ("edge-z", clients[0][1]), topic, "x")


def test_a_new_password_counts_at_once_and_a_removed_user_is_put_out(
    peers: Prefix, engine: EngineProcess, listener: list[str], subscribe: Callable[..., Subscriber]
) -> None:
    path = Path(engine.first.password_file)
    client = ("edge-new", "a password")
    before = read_passwords(path)
    write_passwords(path, {**before, client[0]: mosquitto_hash(client[1])})
    wait_until(lambda: can_publish(peers, listener, client, "anxin/v1/0/edge-new/up/bulk"))
    inside = subscribe([*listener, *as_client(client)], "anxin/v1/0/edge-new/down/bulk")
    write_passwords(path, before)
    wait_until(lambda: not can_publish(peers, listener, client, "anxin/v1/0/edge-new/up/bulk"))
    wait_until(lambda: "DISCONNECT" in inside.text or inside.process.poll() is not None)


def test_a_device_cannot_take_anothers_session(
    peers: Prefix, listener: list[str], clients: tuple[Client, Client], subscribe: Callable[..., Subscriber]
) -> None:
    first, second = clients
    victim = subscribe([*listener, *as_client(first), "-i", "edge-a"], "anxin/v1/0/edge-a/down/bulk")
    command = [peers.program("mosquitto_pub"), *listener, *as_client(second), "-i", "edge-a", "-d"]
    done = subprocess.run([*command, "-t", "anxin/v1/0/edge-b/up/bulk", "-m", "x"], capture_output=True, text=True)
    assert "Client edge-a sending CONNECT" in done.stdout
    assert "received DISCONNECT" not in victim.text
    assert victim.process.poll() is None


def test_mosquittos_own_tool_makes_the_same_hash(engine_prefix: Prefix, tmp_path: Path) -> None:
    path = tmp_path / "passwords"
    path.touch()
    command = [engine_prefix.program("mosquitto_passwd"), "-b", str(path), "edge-1", "päss wörd"]
    subprocess.run(command, check=True, capture_output=True, env={})
    theirs = read_passwords(path)["edge-1"]
    salt = re.fullmatch(r"\$7\$101\$(.+)\$.+", theirs)
    assert salt is not None
    assert mosquitto_hash("päss wörd", base64.b64decode(salt[1])) == theirs


def test_two_hashes_of_a_password_differ() -> None:
    assert mosquitto_hash("same") != mosquitto_hash("same")


@pytest.mark.parametrize("user", ["", "a:b", "a\nb", "UPPER", "-x", "x" * 41, "安", "a/b", "a+", "#"])
def test_a_user_that_could_break_the_file_or_a_topic_is_refused(tmp_path: Path, user: str) -> None:
    with pytest.raises(BadInput, match="broker user"):
        write_passwords(tmp_path / "passwords", {user: mosquitto_hash("x")})
    assert list(tmp_path.iterdir()) == []


def test_a_password_in_clear_is_refused_and_not_repeated_in_the_error(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="not a hash") as caught:
        write_passwords(tmp_path / "passwords", {"edge-1": "open sesame"})
    assert "sesame" not in str(caught.value)


def test_a_refused_write_leaves_the_file_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "passwords"
    users = {"edge-1": mosquitto_hash("one")}
    write_passwords(path, users)
    with pytest.raises(BadInput):
        write_passwords(path, {**users, "edge-2": "clear"})
    assert read_passwords(path) == users
    assert path.stat().st_mode & 0o777 == 0o600


@given(st.dictionaries(st.from_regex(r"[a-z0-9][a-z0-9-]{0,39}", fullmatch=True), st.text(max_size=8), max_size=4))
def test_what_is_written_is_read_back(tmp_path_factory: pytest.TempPathFactory, passwords: dict[str, str]) -> None:
    path = tmp_path_factory.mktemp("passwords") / "passwords"
    hashes = {user: mosquitto_hash(password) for user, password in passwords.items()}
    write_passwords(path, hashes)
    assert read_passwords(path) == hashes


def test_a_port_that_is_taken_is_named(engine_prefix: Prefix, tmp_path: Path) -> None:
    broker = Mosquitto(engine_prefix, tmp_path, usable_identity(), "", 10)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(EngineUnavailable, match=f"port {port} of 127.0.0.1 is taken"):
            broker.create(Ports(port, port))


def test_ports_password_and_users_outlive_a_restart(engine_prefix: Prefix, tmp_path: Path) -> None:
    first = Mosquitto(engine_prefix, tmp_path, usable_identity(), "", 10)
    first.create(None)
    write_passwords(first.password_file, {**read_passwords(first.password_file), "edge-1": mosquitto_hash("x")})
    second = Mosquitto(engine_prefix, tmp_path, usable_identity(), "", 10)
    second.create(None)
    assert second.url == first.url
    assert set(read_passwords(second.password_file)) == {"hub", "edge-1"}
