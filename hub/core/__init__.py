"""The pure core: no asyncio, no clock, no I/O, no logging. Everything here takes its time as an argument."""
