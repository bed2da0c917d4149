"""Real protocol endpoints on loopback that the demo and the tests start: one file a protocol, small async context managers."""
