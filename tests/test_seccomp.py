"""The system-call filter of both machines, run step by step; this machine's is also tried for real (test_sandbox_attacks.py)."""

import errno
from collections.abc import Iterable

import pytest

from components.lib.sandbox import seccomp

PID = 4321
PERM, NOSYS = seccomp.ERROR | errno.EPERM, seccomp.ERROR | errno.ENOSYS
HARMLESS = {
    "x86_64": {"read": 0, "write": 1, "openat": 257, "mmap": 9, "futex": 202},
    "aarch64": {"read": 63, "write": 64, "openat": 56, "mmap": 222, "futex": 98},
}


def verdict(machine: str, number: int, arguments: Iterable[int] = (), arch: int | None = None) -> int:
    """What the filter says to one call: an interpreter of the few BPF instructions it is made of."""
    code = seccomp.encode(seccomp.judgements(PID, machine)) + seccomp.refusals(machine)
    steps = list(seccomp.STEP.iter_unpack(code))
    data = {0: number, 4: seccomp.MACHINES[machine][1] if arch is None else arch}
    data |= {16 + 8 * index: value & 0xFFFFFFFF for index, value in enumerate([*arguments, *[0] * 6])}
    at, held = 0, 0
    while True:
        kind, if_true, if_false, value = steps[at]
        at += 1
        if kind == seccomp.RETURN:
            return int(value)
        if kind == seccomp.LOAD:
            held = data[value]
        elif kind == seccomp.AND:
            held &= value
        else:
            tests = {seccomp.EQUAL: held == value, seccomp.AT_LEAST: held >= value, seccomp.ANY_BIT: bool(held & value)}
            at += if_true if tests[kind] else if_false


@pytest.fixture(params=seccomp.MACHINES)
def machine(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def judged(machine: str, name: str) -> int:
    return seccomp.JUDGED[name][seccomp.MACHINES[machine][0]]


def test_listed_calls_are_refused_and_harmless_ones_pass(machine: str) -> None:
    column = seccomp.MACHINES[machine][0]
    numbers = [pair[column] for pair in seccomp.DENIED.values()]
    assert {verdict(machine, number) for number in numbers if number is not None} == {PERM}
    assert {verdict(machine, number) for number in HARMLESS[machine].values()} == {seccomp.ALLOW}


def test_no_number_stands_twice(machine: str) -> None:
    column = seccomp.MACHINES[machine][0]
    numbers = [pair[column] for table in (seccomp.DENIED, seccomp.JUDGED) for pair in table.values() if pair[column] is not None]
    assert len(numbers) == len(set(numbers))


@pytest.mark.parametrize(
    ("name", "arguments", "allowed"),
    [
        ("clone", [0x3D0F00], True),  # a thread, as glibc makes it
        ("clone", [17], False),  # a process
        ("clone", [0x4000 | 0x100 | 17], False),  # vfork
        ("kill", [PID, 9], True),
        ("kill", [PID + 1, 0], False),
        ("kill", [0, 9], False),
        ("kill", [-1, 9], False),
        ("kill", [-PID, 9], False),
        ("tgkill", [PID, 99, 2], True),
        ("tgkill", [1, 1, 2], False),
        ("prlimit64", [0], True),
        ("prlimit64", [PID], False),
        ("fcntl", [3, 1], True),
        ("fcntl", [3, 8], False),
        ("fcntl", [3, 15], False),
        ("ioctl", [1, 0x5401], True),
        ("ioctl", [1, 0x8901], False),
        ("prctl", [15], True),
        ("prctl", [1, 0], False),
        ("socketpair", [1, 1], True),
        ("socketpair", [1, 1 | 0o2000000], True),  # SOCK_STREAM | SOCK_CLOEXEC
        ("socketpair", [1, 2], False),
        ("socketpair", [1, 2 | 0o2000000], False),
    ],
)
def test_arguments_decide(name: str, arguments: list[int], allowed: bool, machine: str) -> None:
    assert verdict(machine, judged(machine, name), arguments) == (seccomp.ALLOW if allowed else PERM)


def test_unknown_and_foreign_calls_do_not_exist(machine: str) -> None:
    assert verdict(machine, judged(machine, "clone3")) == NOSYS
    assert verdict(machine, seccomp.YOUNGEST) == NOSYS
    assert verdict(machine, 0x40000000 | 41) == NOSYS
    assert verdict(machine, 41, arch=0x40000003) == seccomp.KILL


def test_other_machines_are_refused_by_name() -> None:
    with pytest.raises(OSError, match="riscv64"):
        seccomp.judgements(PID, "riscv64")
