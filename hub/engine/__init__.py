"""The private engine: TimescaleDB and Mosquitto in a folder of our own, without root or docker.

fetch (packages, sources) → unpack → start, watch, stop (service, child, postgres, mosquitto, identity, launch).
It knows how to run them and nothing of what the hub keeps in them.
"""

from hub.engine.fetch import Prefix, ensure, ensure_peers
from hub.engine.mosquitto import Ports, mosquitto_hash, read_passwords, write_passwords
from hub.engine.service import Engine, Running, running

__all__ = [
    "Engine",
    "Ports",
    "Prefix",
    "Running",
    "ensure",
    "ensure_peers",
    "mosquitto_hash",
    "read_passwords",
    "running",
    "write_passwords",
]
