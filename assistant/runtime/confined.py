"""Gives a process away to foreign code: limits of memory and time, no network, no writing, no programs.

``confine`` is called in a child, once everything that it needs is imported, and holds until it ends. What the
kernel offers is used: limits everywhere, Landlock (writing) and seccomp (system calls) where Linux has them.
Knows nothing of what the child does.
"""

from __future__ import annotations

import ctypes
import os
import platform
import resource
import signal
import struct
import sys
from collections.abc import Iterable
from contextlib import suppress

from assistant.runtime import core_dump

_PR_SET_NO_NEW_PRIVS, _PR_SET_SECCOMP, _SECCOMP_MODE_FILTER = 38, 22, 2
_LANDLOCK_CREATE_RULESET, _LANDLOCK_ADD_RULE, _LANDLOCK_RESTRICT_SELF = 444, 445, 446
"""System calls, of the same number on every architecture."""
_LANDLOCK_WRITES, _LANDLOCK_WRITE_FILE = 0b1_1111_1111_0010, 0b10
"""LANDLOCK_ACCESS_FS_* of version 1 that change anything: write, remove and make files of every kind."""
_LANDLOCK_TRUNCATE, _LANDLOCK_TRUNCATE_FROM = 1 << 14, 3
"""LANDLOCK_ACCESS_FS_TRUNCATE and the version that has it first."""
_LANDLOCK_VERSION = 1
"""LANDLOCK_CREATE_RULESET_VERSION."""
_LANDLOCK_RULE_PATH_BENEATH = 1

_DENIED = {
    "x86_64": (
        0xC000003E,
        (
            # socket, connect, bind, sendto; ptrace, process_vm_writev; io_uring_setup, _enter, _register
            *(41, 42, 49, 44, 101, 311, 425, 426, 427),
            # truncate, chmod, fchmod, fchmodat, fchmodat2, chown, fchown, lchown, fchownat
            *(76, 90, 91, 268, 452, 92, 93, 94, 260),
            # kill, tkill, rt_sigqueueinfo, rt_tgsigqueueinfo, pidfd_send_signal
            *(62, 200, 129, 297, 424),
        ),
        (59, 322, 57, 58),  # execve, execveat, fork, vfork
        (234, 302),  # tgkill, prlimit64
    ),
    "aarch64": (
        0xC00000B7,
        (
            *(198, 203, 200, 206, 117, 271, 425, 426, 427),
            *(45, 52, 53, 452, 55, 54),  # it has no chmod, chown and lchown
            *(129, 130, 138, 240, 424),
        ),
        (221, 281),
        (131, 261),
    ),
}
"""Machine -> audit architecture, numbers of the system calls that foreign code has no use for, of those that
begin a program, and of those that it may use for itself only: abort() and getrlimit() need them.
"""

_FIRST_OF_X32 = 0x40000000
"""From here on, x86_64 has the same calls once more, under other numbers."""


def confine(*, memory_bytes: int, cpu_s: int, programs: bool = False) -> None:
    """Hold this process to ``memory_bytes`` of its own memory and ``cpu_s`` more of processor time.

    With ``programs`` it may begin others, which are held to the same.
    """
    core_dump.off()
    used_s = int(resource.getrusage(resource.RUSAGE_SELF).ru_utime)
    for limit, most in (
        (resource.RLIMIT_DATA, memory_bytes),
        (resource.RLIMIT_CPU, used_s + cpu_s),
        # What programs keep in shared memory counts as files.
        *([] if programs else [(resource.RLIMIT_FSIZE, 0)]),
    ):
        hard = resource.getrlimit(limit)[1]
        value = most if hard == resource.RLIM_INFINITY else min(most, hard)
        with suppress(ValueError, OSError):
            resource.setrlimit(limit, (value, value))
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    if sys.platform == "linux":
        libc = ctypes.CDLL(None, use_errno=True)
        libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
        _forbid_writing(libc)
        _forbid_calls(libc, programs=programs)


def _forbid_writing(libc: ctypes.CDLL) -> None:
    """With Landlock, from Linux 5.13 on: what it handles is allowed by a rule only."""
    version = libc.syscall(_LANDLOCK_CREATE_RULESET, None, ctypes.c_size_t(0), _LANDLOCK_VERSION)
    truncate = _LANDLOCK_TRUNCATE if version >= _LANDLOCK_TRUNCATE_FROM else 0
    handled = ctypes.c_uint64(_LANDLOCK_WRITES | truncate)
    rules = libc.syscall(_LANDLOCK_CREATE_RULESET, ctypes.byref(handled), ctypes.c_size_t(8), 0)
    if rules >= 0:
        null = os.open(os.devnull, os.O_PATH)  # libraries send there what they would print
        allowed = struct.pack("=Qi", _LANDLOCK_WRITE_FILE | truncate, null)
        libc.syscall(_LANDLOCK_ADD_RULE, rules, _LANDLOCK_RULE_PATH_BENEATH, allowed, 0)
        os.close(null)
        libc.syscall(_LANDLOCK_RESTRICT_SELF, rules, 0)
        os.close(rules)


def _forbid_calls(libc: ctypes.CDLL, *, programs: bool) -> None:
    """Forbid system calls with seccomp; a forbidden call fails with EPERM."""
    known = _DENIED.get(platform.machine())
    if known is None:
        return
    architecture, always, beginnings, own = known
    program = b"".join(_bpf(architecture, always if programs else always + beginnings, own))
    buffer = ctypes.create_string_buffer(program, len(program))
    filter_ = struct.pack("HxxxxxxP", len(program) // 8, ctypes.addressof(buffer))
    libc.prctl(
        _PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, ctypes.create_string_buffer(filter_, len(filter_)), 0, 0
    )


def _bpf(architecture: int, denied: Iterable[int], own: Iterable[int]) -> Iterable[bytes]:
    """The filter: load the architecture, then the call's number; compare; return.

    The calls in ``own`` are allowed if their first argument is 0 or this process.
    """
    allow, refuse = 0x7FFF0000, 0x00050000 | 1  # SECCOMP_RET_ALLOW; SECCOMP_RET_ERRNO with EPERM
    load, equal, at_least, leave = 0x20, 0x15, 0x35, 0x06
    number_at, architecture_at, argument_at = 0, 4, 16  # of struct seccomp_data; the argument's lower half

    def step(code: int, value: int, if_true: int = 0, if_false: int = 0) -> bytes:
        return struct.pack("HBBI", code, if_true, if_false, value)

    yield step(load, architecture_at)
    yield step(equal, architecture, 1, 0)
    yield step(leave, refuse)
    yield step(load, number_at)
    yield step(at_least, _FIRST_OF_X32, 0, 1)
    yield step(leave, refuse)
    for number in denied:
        yield step(equal, number, 0, 1)
        yield step(leave, refuse)
    for number in own:
        yield step(equal, number, 0, 5)
        yield step(load, argument_at)
        yield step(equal, 0, 1, 0)
        yield step(equal, os.getpid(), 0, 1)
        yield step(leave, allow)
        yield step(leave, refuse)
    yield step(leave, allow)
