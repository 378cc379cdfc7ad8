"""The walls around one session, put up by the session itself right after the fork and never taken down.

In order: limits, no capabilities, Landlock (which files), seccomp (which system calls; seccomp.py). A layer that this kernel lacks is
left out and reported: whether the guarantees still hold is for the self-check to say, not for version numbers. Any other failure rises.
Standard library only: the zygote finds this file next to itself. Does not know what a session runs.
"""

import ctypes
import errno
import os
import resource
import sys
import sysconfig
from collections.abc import Callable, Sequence
from pathlib import Path

import seccomp

MB = 1 << 20
CPU_S = 600
"""Processor seconds of a whole session: the last net, should every clock fail."""
FILE_MB = 16
CREATE_RULESET, ADD_RULE, RESTRICT_SELF = 444, 445, 446  # the same on both machines
EXECUTE, WRITE_FILE, READ_FILE, READ_DIR, MAKE_CHAR, MAKE_SOCK, MAKE_FIFO, MAKE_BLOCK, REFER, TRUNCATE, IOCTL_DEV = (
    1 << bit for bit in (0, 1, 2, 3, 6, 9, 10, 11, 13, 14, 15)
)
MISSING = (errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL)
libc = ctypes.CDLL(None, use_errno=True)
libc.syscall.restype = ctypes.c_long


class Ruleset(ctypes.Structure):
    """struct landlock_ruleset_attr"""

    _fields_ = (("files", ctypes.c_uint64), ("network", ctypes.c_uint64), ("scoped", ctypes.c_uint64))


class Beneath(ctypes.Structure):
    """struct landlock_path_beneath_attr"""

    _pack_ = 1
    _fields_ = (("access", ctypes.c_uint64), ("parent", ctypes.c_int32))


def confine(folder: str, readable: Sequence[str], memory_mb: int, layers: Sequence[str]) -> list[str]:
    """Confines this process to `folder` (read and write) and `readable`; returns the names of the layers that stand."""
    walls: dict[str, Callable[[], None]] = {
        "limits": lambda: limit(memory_mb),
        "capabilities": drop_capabilities,
        "landlock": lambda: landlock(folder, readable),
        "seccomp": lambda: seccomp.apply(os.getpid()),
    }
    standing = []
    for name, put_up in walls.items():
        if name not in layers:
            continue
        try:
            put_up()
        except OSError as error:
            if name in ("limits", "capabilities") or error.errno not in MISSING:
                raise
        else:
            standing.append(name)
    return standing


def limit(memory_mb: int) -> None:
    """Hard limits. No RLIMIT_NPROC: it counts the user's processes everywhere, and does not bind root."""
    limits = {
        resource.RLIMIT_AS: memory_mb * MB,
        resource.RLIMIT_FSIZE: FILE_MB * MB,
        resource.RLIMIT_NOFILE: 64,
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_CPU: CPU_S,
        resource.RLIMIT_STACK: 8 * MB,
        resource.RLIMIT_MEMLOCK: 0,
        resource.RLIMIT_MSGQUEUE: 0,
    }
    for kind, value in limits.items():
        hard = resource.getrlimit(kind)[1]
        bound = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(kind, (bound, bound))


def drop_capabilities() -> None:
    """Root without its powers: nothing permitted, nothing inheritable, nothing to be had again."""
    read_bounding, drop_bounding, ambient, clear_all = 23, 24, 47, 4
    number = 0
    while libc.prctl(read_bounding, number, 0, 0, 0) >= 0:
        libc.prctl(drop_bounding, number, 0, 0, 0)  # refused without CAP_SETPCAP: then there is nothing to drop
        number += 1
    libc.prctl(ambient, clear_all, 0, 0, 0)
    header, nothing = (ctypes.c_uint32 * 2)(0x20080522, 0), (ctypes.c_uint32 * 6)()
    if libc.capset(header, nothing):
        raise OSError(ctypes.get_errno(), "capset")


def landlock(folder: str, readable: Sequence[str]) -> None:
    """Files: everything inside `folder`, reading in `readable`, nothing else. From ABI 4 on TCP, from 6 on signals, too."""
    abi = libc.syscall(CREATE_RULESET, None, 0, 1)
    if abi < 1:
        raise OSError(errno.ENOSYS, "landlock")
    files = {1: 0x1FFF, 2: 0x3FFF, 3: 0x7FFF, 4: 0x7FFF}.get(abi, 0xFFFF)
    rules = Ruleset(files, 3 if abi >= 4 else 0, 3 if abi >= 6 else 0)
    size = 24 if abi >= 6 else 16 if abi >= 4 else 8
    ruleset = libc.syscall(CREATE_RULESET, ctypes.byref(rules), size, 0)
    if ruleset < 0:
        raise OSError(ctypes.get_errno(), "landlock_create_ruleset")
    own = files & ~(EXECUTE | REFER | MAKE_CHAR | MAKE_SOCK | MAKE_FIFO | MAKE_BLOCK | IOCTL_DEV)
    for path in readable:
        _allow(ruleset, path, READ_FILE | READ_DIR, files)
    _allow(ruleset, folder, own, files)
    _allow(ruleset, "/dev/null", READ_FILE | WRITE_FILE, files)
    libc.prctl(38, 1, 0, 0, 0)  # no_new_privs
    if libc.syscall(RESTRICT_SELF, ruleset, 0):
        raise OSError(ctypes.get_errno(), "landlock_restrict_self")
    os.close(ruleset)


def _allow(ruleset: int, path: str, access: int, known: int) -> None:
    try:
        handle = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    if not Path(path).is_dir():
        access &= READ_FILE | WRITE_FILE | TRUNCATE
    rule = Beneath(access & known, handle)
    if libc.syscall(ADD_RULE, ruleset, 1, ctypes.byref(rule), 0):
        raise OSError(ctypes.get_errno(), f"landlock_add_rule: {path}")
    os.close(handle)


def libraries() -> list[str]:
    """What a session reads: Python's library, the installed packages, shared libraries. Not all of sys.path: the caller's
    project may stand there, answers and all."""
    paths = [sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")]
    paths += [path for path in sys.path if Path(path).name in ("site-packages", "dist-packages", "lib-dynload")]
    paths += [f"{prefix}/lib" for prefix in (sys.prefix, sys.base_prefix)]
    paths += ["/lib", "/lib64", "/usr/lib", "/usr/share/zoneinfo", "/etc/ld.so.cache", "/dev/urandom"]
    return sorted({str(Path(path).resolve()) for path in paths if Path(path).exists()})
