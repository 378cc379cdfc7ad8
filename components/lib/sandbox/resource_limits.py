"""What a session may not have too much of, though no limit of the kernel's forbids it: files, and threads.

Standard library only: the zygote finds this file next to itself.
"""

import os
from pathlib import Path

MOST_FILES, MOST_FILE_MB, MOST_THREADS = 1000, 64, 256


def exceeded(pid: int, folder: Path) -> str:
    """Names what a session has too much of, or nothing. A walk that fails (paths too long, folders closed) hides something: too much."""
    count, size = 0, 0
    try:
        if sum(1 for _ in os.scandir(f"/proc/{pid}/task")) > MOST_THREADS:
            return "too many threads"
        folders = [str(folder)]
        while folders:
            for entry in os.scandir(folders.pop()):
                count, size = count + 1, size + entry.stat(follow_symlinks=False).st_blocks * 512
                if entry.is_dir(follow_symlinks=False):
                    folders.append(entry.path)
                if count > MOST_FILES or size > MOST_FILE_MB << 20:
                    return "too many files"
    except (FileNotFoundError, ProcessLookupError):  # gone while we looked
        return ""
    except OSError:
        return "too many files"
    return ""
