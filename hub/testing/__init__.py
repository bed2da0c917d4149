"""What tests of this hub and of third-party drivers share. Nothing here is imported by the running hub."""

from hub.testing.contract import DriverContract
from hub.testing.peer import Case, ContractPeer
from hub.testing.waiting import eventually, wait_until

__all__ = ["Case", "ContractPeer", "DriverContract", "eventually", "wait_until"]
