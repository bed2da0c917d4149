"""Serial lines, pseudo terminals and their TCP gateways: a line protocol by regular expression, and GB/T 26875.3 frames."""

from drivers.serial.link import SerialDriver
from drivers.serial.settings import Address, Device, Endpoint

driver = SerialDriver()

__all__ = ["Address", "Device", "Endpoint", "SerialDriver", "driver"]
