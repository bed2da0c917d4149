"""Becomes another program that dies with its supervisor, and is not root.

Run as a file, before the program, by the interpreter that runs the supervisor: `launch.py IDENTITY SIGNAL PPID PROGRAM ARGUMENT…`.
The kernel sends SIGNAL when the supervisor's thread that started us ends, however it ends; PPID closes the gap in which it ended before
we asked for that. IDENTITY is `self` (an ordinary user stays who he is), `namespace` (root becomes user 1000 of a namespace of
its own, and its files appear to be that user's) or `nobody` (root becomes nobody, where namespaces are forbidden).
It imports only the standard library and starts in a few milliseconds.
"""

import ctypes
import os
import sys

_PR_SET_PDEATHSIG = 1
_PR_SET_SECUREBITS = 28
_SECBIT_NO_SETUID_FIXUP = 4
_PR_CAP_AMBIENT = 47
_PR_CAP_AMBIENT_RAISE = 2
_CAP_DAC_OVERRIDE = 1
_CAP_VERSION_3 = 0x20080522
_CLONE_NEWUSER = 0x10000000
_INSIDE = 1000
_NOBODY = 65534


def _enter_namespace(libc: ctypes.CDLL) -> None:
    uid, gid = os.geteuid(), os.getegid()
    if libc.unshare(_CLONE_NEWUSER) != 0:
        raise OSError(ctypes.get_errno(), "user namespaces are not allowed here")
    for name, text in (
        ("setgroups", "deny"),
        ("uid_map", f"{_INSIDE} {uid} 1"),
        ("gid_map", f"{_INSIDE} {gid} 1"),
    ):
        with open(f"/proc/self/{name}", "w") as file:
            file.write(text)


def _become_nobody(libc: ctypes.CDLL) -> None:
    """Give up root and all its capabilities but the one to enter folders: the engine's may lie in root's home.

    Where the kernel refuses to let us keep that one, all are gone; identity.check_reach finds out.
    """
    # without this bit access(2), by which PostgreSQL finds its own files, does not count the capability
    fixed = libc.prctl(_PR_SET_SECUREBITS, _SECBIT_NO_SETUID_FIXUP, 0, 0, 0) == 0
    os.setgroups([])
    os.setgid(_NOBODY)
    os.setuid(_NOBODY)
    if not fixed:
        return
    header = (ctypes.c_uint32 * 2)(_CAP_VERSION_3, 0)
    bit = 1 << _CAP_DAC_OVERRIDE
    sets = (ctypes.c_uint32 * 6)(bit, bit, bit, 0, 0, 0)  # effective, permitted, inheritable; then their upper halves
    if libc.capset(header, sets) != 0:
        raise OSError(ctypes.get_errno(), "root's capabilities cannot be given up")
    libc.prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_RAISE, _CAP_DAC_OVERRIDE, 0, 0)


def main(identity: str, signal_number: int, parent: int, command: list[str]) -> None:
    """Take on the identity, bind our life to the parent's, become the program; exits 125 when it cannot."""
    libc = ctypes.CDLL(None, use_errno=True)
    try:
        if identity == "namespace":
            _enter_namespace(libc)
        elif identity == "nobody":
            _become_nobody(libc)
        if signal_number:
            libc.prctl(_PR_SET_PDEATHSIG, signal_number, 0, 0, 0)
            if os.getppid() != parent:
                raise OSError(0, "the supervisor is gone")
        os.execv(command[0], command)
    except OSError as error:
        print(f"launch: {command[0]}: {error}", file=sys.stderr)
        sys.exit(125)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4:])
