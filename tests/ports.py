"""Ports for what must be told its number before it starts."""

import itertools
import os
import socket

_FIRST, _COUNT = 20_000, 12_000
"""below those that the kernel gives to whoever asks for any: none of them takes one of these between the look and the start"""
_numbers = itertools.count(os.getpid() * 61 % _COUNT)


def free_port() -> int:
    """A port that nobody has, for TCP and UDP on any address; this process is told it once."""
    for n in itertools.islice(_numbers, _COUNT):
        number = _FIRST + n % _COUNT
        try:
            for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
                with socket.socket(socket.AF_INET, kind) as probe:
                    probe.bind(("", number))
        except OSError:
            continue
        return number
    raise AssertionError("no port is free")
