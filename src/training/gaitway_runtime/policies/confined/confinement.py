"""Confinement of a process that runs a stranger's policy: it may compute, and nothing else.

Limits bound memory, time and the size of files; on Linux a seccomp filter refuses what reaches outside the process: new
processes, programs, sockets, and every way to change a file. Standard library only.
"""

from __future__ import annotations

import ctypes
import platform
import struct
import sys

MEMORY = 6 * 2**30
"""Address space [bytes]; libraries and threads alone take more than one GiB of it."""
CPU_SECONDS = 3600

_ALLOW, _REFUSE, _UNKNOWN = 0x7FFF0000, 0x00050001, 0x00050026
"""Return values of a filter: go on; fail with EPERM; fail with ENOSYS, as an older kernel does."""
_LOAD, _EQUAL, _ANY_BIT, _RETURN = 0x20, 0x15, 0x45, 0x06
"""Instructions of a filter: load a word, jump if equal, jump if any bit is set, return."""
_NUMBER, _ARCHITECTURE, _ARGUMENTS = 0, 4, 16
"""Offsets in what a filter is given."""
_WRITES = 0o1 | 0o2 | 0o100 | 0o1000 | 0o2000
"""Flags of open(2) with which a file is changed: O_WRONLY, O_RDWR, O_CREAT, O_TRUNC, O_APPEND."""
_OPENAT2 = 437
"""Number of openat2(2), on every architecture: its flags lie where a filter cannot look, and callers without it open as
older kernels let them."""
_PR_SET_NO_NEW_PRIVS, _PR_SET_SECCOMP, _FILTER = 38, 22, 2


class _Calls:
    """Numbers of system calls of one architecture (Linux's tables)."""

    def __init__(self, audit: int, refused: tuple[int, ...], opens: tuple[tuple[int, int], ...]) -> None:
        self.audit, self.refused, self.opens = audit, refused, opens


_TABLES = {
    "x86_64": _Calls(
        0xC000003E,
        (
            *(56, 57, 58, 435, 59, 322),  # clone fork vfork clone3 execve execveat
            *(41, 42, 43, 288, 49, 50),  # socket connect accept accept4 bind listen
            *(
                62,
                200,
                234,
                101,
                311,
                425,
                165,
            ),  # kill tkill tgkill ptrace process_vm_writev io_uring mount
            *(82, 83, 84, 85, 86, 87, 88),  # rename mkdir rmdir creat link unlink symlink
            *(90, 91, 92, 93, 94, 76, 77, 133),  # chmod fchmod chown fchown lchown truncate ftruncate mknod
            *(258, 259, 260, 263, 264, 265, 266, 268, 316),  # the *at forms
        ),
        ((2, 1), (257, 2)),
    ),
    "aarch64": _Calls(
        0xC00000B7,
        (
            *(220, 435, 221, 281),  # clone clone3 execve execveat
            *(198, 203, 202, 242, 200, 201),  # socket connect accept accept4 bind listen
            *(
                129,
                130,
                131,
                117,
                271,
                425,
                40,
            ),  # kill tkill tgkill ptrace process_vm_writev io_uring mount
            *(33, 34, 35, 36, 37, 38, 276),  # mknodat mkdirat unlinkat symlinkat linkat renameat renameat2
            *(45, 46, 52, 53, 54, 55),  # truncate ftruncate fchmod fchmodat fchownat fchown
        ),
        ((56, 2),),
    ),
}
"""System calls that are refused, and those that open files with the place of their flags, by machine."""


def confine() -> str:
    """Confine this process for good, and return what the confinement is made of.

    Call it after everything that is trusted has been imported and has started its threads.
    """
    parts = ["limits of memory and time"]
    _limit()
    if sys.platform == "linux" and platform.machine() in _TABLES and _install(_TABLES[platform.machine()]):
        parts.append("no files to write, no programs, no network")
    return ", ".join(parts)


def _limit() -> None:
    import resource

    for kind, value in (
        (resource.RLIMIT_AS, MEMORY),
        (resource.RLIMIT_CPU, CPU_SECONDS),
        (resource.RLIMIT_CORE, 0),
    ):
        _, hard = resource.getrlimit(kind)
        least = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(kind, (least, least))


def _install(calls: _Calls) -> bool:
    """Install the filter; return whether the kernel took it."""
    program = b"".join(_instructions(calls))
    code = ctypes.create_string_buffer(program, len(program))

    class Program(ctypes.Structure):
        _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_void_p))

    filter_program = Program(len(program) // 8, ctypes.addressof(code))
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0:
        return False
    return bool(libc.prctl(_PR_SET_SECCOMP, _FILTER, ctypes.byref(filter_program), 0, 0) == 0)


def _instructions(calls: _Calls) -> list[bytes]:
    """Return the filter: another architecture is refused, so are the calls listed, and opens that write."""

    def one(code: int, value: int, if_true: int = 0, if_false: int = 0) -> bytes:
        return struct.pack("=HBBI", code, if_true, if_false, value)

    found = [one(_LOAD, _ARCHITECTURE), one(_EQUAL, calls.audit, 1, 0), one(_RETURN, _REFUSE), one(_LOAD, _NUMBER)]
    for number in calls.refused:
        found += [one(_EQUAL, number, 0, 1), one(_RETURN, _REFUSE)]
    found += [one(_EQUAL, _OPENAT2, 0, 1), one(_RETURN, _UNKNOWN)]
    for number, argument in calls.opens:
        found += [
            one(_EQUAL, number, 0, 4),
            one(_LOAD, _ARGUMENTS + 8 * argument),
            one(_ANY_BIT, _WRITES, 0, 1),
            one(_RETURN, _REFUSE),
            one(_RETURN, _ALLOW),
        ]
    return [*found, one(_RETURN, _ALLOW)]
