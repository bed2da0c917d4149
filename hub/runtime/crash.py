"""The crash points under the name that the runtime's loops use; edges, which must not import the runtime, use `hub.crash`."""

from hub.crash import point

__all__ = ["point"]
