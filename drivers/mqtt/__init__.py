"""MQTT: devices of other makers that publish through a broker of their own, described by a profile."""

from drivers.mqtt.link import MqttDriver
from drivers.mqtt.settings import Address, Device, Endpoint

driver = MqttDriver()

__all__ = ["Address", "Device", "Endpoint", "MqttDriver", "driver"]
