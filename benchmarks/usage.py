"""Tells what a process has used so far; it runs in the environment of the peers too."""

import json
import os
import resource
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Used:
    """The processor seconds and the memory of a process, and how many calls it has served."""

    cpu_s: float
    peak_mb: float
    now_mb: float
    calls: int


def used(calls: int) -> Used:
    """Returns the use of this process so far."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    now = pages * os.sysconf("SC_PAGE_SIZE") / 2**20
    return Used(usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024, now, calls)


def answer(calls: int) -> str:
    """Returns the same as a line of JSON."""
    return json.dumps(asdict(used(calls)))


def cpu_of(pid: int) -> float:
    """Returns the processor seconds of another process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
