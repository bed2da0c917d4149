"""The built-in drivers, one package a protocol; found through the entry points `hub.drivers`."""
