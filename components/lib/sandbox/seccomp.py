"""The system calls that a session may not make, as a seccomp filter for x86-64 and aarch64.

Covered: new processes (threads pass), the network, signals and tracing to anyone else, namespaces and mounts, metadata of files,
memory that outlives the process, io_uring, and every call younger than this list. Not covered: which files may be opened (Landlock's
part in isolation.py). Standard library only; runs inside the forked session, because the filter holds the session's own process id.
"""

import ctypes
import errno
import functools
import platform
import struct
from typing import NamedTuple

MACHINES = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}
"""Column of the tables below, and the AUDIT_ARCH word that a call of this machine carries (linux/audit.h)."""

DENIED: dict[str, tuple[int | None, int | None]] = {
    # processes: only threads of its own
    "fork": (57, None), "vfork": (58, None), "execve": (59, 221), "execveat": (322, 281), "setsid": (112, 157), "setpgid": (109, 154),
    # the network; socketpair stays for asyncio
    "socket": (41, 198), "connect": (42, 203), "bind": (49, 200), "listen": (50, 201), "accept": (43, 202), "accept4": (288, 242),
    # other processes: reading, tracing, signalling, slowing
    "ptrace": (101, 117), "process_vm_readv": (310, 270), "process_vm_writev": (311, 271), "process_madvise": (440, 440),
    "process_mrelease": (448, 448), "kcmp": (312, 272), "pidfd_open": (434, 434), "pidfd_send_signal": (424, 424),
    "pidfd_getfd": (438, 438), "tkill": (200, 130), "rt_sigqueueinfo": (129, 138), "rt_tgsigqueueinfo": (297, 240),
    "setpriority": (141, 140), "ioprio_set": (251, 30), "sched_setaffinity": (203, 122), "sched_setscheduler": (144, 119),
    "sched_setparam": (142, 118), "sched_setattr": (314, 274), "migrate_pages": (256, 238), "move_pages": (279, 239),
    # mounts and namespaces
    "mount": (165, 40), "umount2": (166, 39), "pivot_root": (155, 41), "chroot": (161, 51), "setns": (308, 268), "unshare": (272, 97),
    "fsopen": (430, 430), "fsconfig": (431, 431), "fsmount": (432, 432), "fspick": (433, 433), "move_mount": (429, 429),
    "open_tree": (428, 428), "mount_setattr": (442, 442), "open_by_handle_at": (304, 265), "name_to_handle_at": (303, 264),
    "quotactl": (179, 60), "quotactl_fd": (443, 443), "swapon": (167, 224), "swapoff": (168, 225), "acct": (163, 89),
    # the kernel's wide doors
    "bpf": (321, 280), "perf_event_open": (298, 241), "userfaultfd": (323, 282), "io_uring_setup": (425, 425),
    "io_uring_enter": (426, 426), "io_uring_register": (427, 427), "keyctl": (250, 219), "add_key": (248, 217),
    "request_key": (249, 218), "kexec_load": (246, 104), "kexec_file_load": (320, 294), "init_module": (175, 105),
    "finit_module": (313, 273), "delete_module": (176, 106), "reboot": (169, 142), "syslog": (103, 116),
    "settimeofday": (164, 170), "clock_settime": (227, 112), "clock_adjtime": (305, 266), "adjtimex": (159, 171),
    "sethostname": (170, 161), "setdomainname": (171, 162), "personality": (135, 92), "vhangup": (153, 58),
    "modify_ldt": (154, None), "iopl": (172, None), "ioperm": (173, None),
    # watching other people's files
    "fanotify_init": (300, 262), "inotify_init": (253, None), "inotify_init1": (294, 26),
    # memory that escapes RLIMIT_AS or outlives the session
    "memfd_create": (319, 279), "memfd_secret": (447, 447), "shmget": (29, 194), "shmat": (30, 196), "msgget": (68, 186),
    "semget": (64, 190), "mq_open": (240, 180),
    # metadata: Landlock does not govern it, and truncate(2) only from its ABI 3 on
    "chmod": (90, None), "fchmod": (91, 52), "fchmodat": (268, 53), "fchmodat2": (452, 452), "chown": (92, None), "fchown": (93, 55),
    "lchown": (94, None), "fchownat": (260, 54), "setxattr": (188, 5), "lsetxattr": (189, 6), "fsetxattr": (190, 7),
    "removexattr": (197, 14), "lremovexattr": (198, 15), "fremovexattr": (199, 16), "utime": (132, None), "utimes": (235, None),
    "futimesat": (261, None), "utimensat": (280, 88), "truncate": (76, 45), "mknod": (133, None), "mknodat": (259, 33),
    "sync": (162, 81), "syncfs": (306, 267),
}  # fmt: skip
JUDGED: dict[str, tuple[int, int]] = {
    "clone": (56, 220), "clone3": (435, 435), "kill": (62, 129), "tgkill": (234, 131), "prlimit64": (302, 261), "fcntl": (72, 25),
    "ioctl": (16, 29), "prctl": (157, 167), "socketpair": (53, 199),
}  # fmt: skip
"""Calls whose arguments decide."""
YOUNGEST = 457
"""From statmount(2) on: unknown here, so absent (ENOSYS). x32 calls (bit 30) fall under it too."""

STEP = struct.Struct("=HBBI")  # struct sock_filter
LOAD, AND, EQUAL, AT_LEAST, ANY_BIT, RETURN = 0x20, 0x54, 0x15, 0x35, 0x45, 0x06  # linux/bpf_common.h
ALLOW, KILL, ERROR = 0x7FFF0000, 0x80000000, 0x00050000  # linux/seccomp.h
CLONE_THREAD, SOCK_TYPE, SOCK_STREAM, PR_SET_PDEATHSIG = 0x10000, 0xF, 1, 1
OTHERS_SIGNALS = (8, 10, 15)  # F_SETOWN, F_SETSIG, F_SETOWN_EX: a signal of choice to a process of choice
OTHERS_DEVICES = (0x8901, 0x8902, 0x5412)  # FIOSETOWN, SIOCSPGRP (the same by ioctl), TIOCSTI (typing into a terminal)


class Step(NamedTuple):
    """One BPF instruction: jumps are counted in instructions to skip."""

    code: int
    value: int
    if_true: int = 0
    if_false: int = 0


def judgements(pid: int, machine: str) -> list[Step]:
    """The first part of the filter of the session whose process id is `pid`: calls whose arguments decide. Raises OSError on a machine
    without a table."""
    if machine not in MACHINES:
        raise OSError(errno.ENOSYS, f"no table of system calls for {machine}; there are: {', '.join(MACHINES)}")
    column, arch = MACHINES[machine]
    number = {name: numbers[column] for name, numbers in JUDGED.items()}
    refuse, allow = _refuse(errno.EPERM), Step(RETURN, ALLOW)

    def only(value: int) -> list[Step]:
        return [Step(EQUAL, value, 0, 1), allow, refuse]

    def never(values: tuple[int, ...]) -> list[Step]:
        return [step for value in values for step in (Step(EQUAL, value, 0, 1), refuse)] + [allow]

    steps = [Step(LOAD, 4), Step(EQUAL, arch, 1, 0), Step(RETURN, KILL)]
    steps += [Step(LOAD, 0), Step(AT_LEAST, YOUNGEST, 0, 1), _refuse(errno.ENOSYS)]
    steps += _when(number["clone3"], [_refuse(errno.ENOSYS)])  # its flags lie in memory; glibc then falls back to clone
    steps += _when(number["clone"], [_argument(0), Step(ANY_BIT, CLONE_THREAD, 0, 1), allow, refuse])
    steps += _when(number["kill"], [_argument(0), *only(pid)]) + _when(number["tgkill"], [_argument(0), *only(pid)])
    steps += _when(number["prlimit64"], [_argument(0), *only(0)])
    steps += _when(number["fcntl"], [_argument(1), *never(OTHERS_SIGNALS)]) + _when(number["ioctl"], [_argument(1), *never(OTHERS_DEVICES)])
    steps += _when(number["prctl"], [_argument(0), *never((PR_SET_PDEATHSIG,))])
    # A datagram pair could send to any unix socket of the machine by address; a stream pair cannot.
    steps += _when(number["socketpair"], [_argument(1), Step(AND, SOCK_TYPE), *only(SOCK_STREAM)])
    return steps


@functools.cache
def refusals(machine: str) -> bytes:
    """The part of the filter that is the same for all sessions: what nobody may call; everything else passes."""
    column = MACHINES[machine][0]
    numbers = [pair[column] for pair in DENIED.values()]
    refused = [step for number in numbers if number is not None for step in _when(number, [_refuse(errno.EPERM)])]
    return encode([*refused, Step(RETURN, ALLOW)])


def encode(steps: list[Step]) -> bytes:
    return b"".join(STEP.pack(step.code, step.if_true, step.if_false, step.value & 0xFFFFFFFF) for step in steps)


def apply(pid: int) -> None:
    """Puts the filter on this process for good; raises OSError where the kernel or the machine has no seccomp."""
    machine = platform.machine()
    code = encode(judgements(pid, machine)) + refusals(machine)
    held = ctypes.create_string_buffer(code, len(code))

    class Filter(ctypes.Structure):
        _fields_ = (("length", ctypes.c_ushort), ("steps", ctypes.c_void_p))

    libc = ctypes.CDLL(None, use_errno=True)
    filter_ = Filter(len(code) // STEP.size, ctypes.addressof(held))
    no_new_privileges, set_seccomp, mode_filter = 38, 22, 2
    for arguments in ((no_new_privileges, 1, 0, 0, 0), (set_seccomp, mode_filter, ctypes.byref(filter_), 0, 0)):
        if libc.prctl(*arguments):
            raise OSError(ctypes.get_errno(), "seccomp")


def _refuse(error: int) -> Step:
    return Step(RETURN, ERROR | error)


def _argument(index: int) -> Step:
    return Step(LOAD, 16 + 8 * index)  # the low word: all judged arguments are ints or flags of 32 bits


def _when(number: int, then: list[Step]) -> list[Step]:
    return [Step(EQUAL, number, 0, len(then)), *then]
