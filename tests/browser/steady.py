#!/usr/bin/env python3
"""Chromium, told nothing of network interfaces that come and go.

It drops what it is loading (ERR_NETWORK_CHANGED) whenever an address appears, as a container's does a second or two
after its start: in the middle of the first page of a session. So the program is denied the sockets by which the
kernel tells of addresses; it says so once and goes on. Formats: linux/filter.h, linux/seccomp.h.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import shutil
import struct
import sys

PR_SET_SECCOMP, PR_SET_NO_NEW_PRIVS, SECCOMP_MODE_FILTER = 22, 38, 2
SECCOMP_RET_ALLOW, SECCOMP_RET_ERRNO = 0x7FFF0000, 0x00050000
LOAD_WORD, JUMP_IF_EQUAL, RETURN = 0x20, 0x15, 0x06
NUMBER, FIRST_ARGUMENT = 0, 16
"""Offsets in `struct seccomp_data`, in bytes."""

SOCKET = {"x86_64": 41, "aarch64": 198}
AF_NETLINK = 16


class Program(ctypes.Structure):
    """`struct sock_fprog`."""

    _fields_ = (("length", ctypes.c_ushort), ("instructions", ctypes.c_char_p))


def deny_netlink() -> None:
    """Deny this process, and what it becomes, sockets of the kernel's messages. OSError where it cannot be."""
    instructions = b"".join(
        struct.pack("=HBBI", *instruction)
        for instruction in (
            (LOAD_WORD, 0, 0, NUMBER),
            (JUMP_IF_EQUAL, 0, 3, SOCKET[platform.machine()]),
            (LOAD_WORD, 0, 0, FIRST_ARGUMENT),
            (JUMP_IF_EQUAL, 0, 1, AF_NETLINK),
            (RETURN, 0, 0, SECCOMP_RET_ERRNO | errno.EAFNOSUPPORT),
            (RETURN, 0, 0, SECCOMP_RET_ALLOW),
        )
    )
    program = Program(len(instructions) // 8, instructions)
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) or libc.prctl(
        PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.byref(program), 0, 0
    ):
        raise OSError(ctypes.get_errno(), "no seccomp filter could be set")


if __name__ == "__main__":
    deny_netlink()
    os.execv(shutil.which("chromium") or "chromium", ["chromium", *sys.argv[1:]])
