"""Removes a folder whatever hostile code did to it: nesting beyond PATH_MAX, closed modes, foreign names.

Standard library only: both the caller and the zygote hold it. Nobody may still write there. Does not follow symbolic links.
"""

import os


def sweep(folder: str) -> None:
    """Removes a folder, however deep it nests and whatever its modes say: inner folders are lifted to the top, level by level."""
    serial = 0
    try:
        os.rmdir(folder)
    except FileNotFoundError:
        return
    except OSError:
        os.chmod(folder, 0o700)
        while entries := list(os.scandir(folder)):
            for entry in entries:
                if not entry.is_dir(follow_symlinks=False):
                    os.unlink(entry.path)
                    continue
                os.chmod(entry.path, 0o700)
                for inner in list(os.scandir(entry.path)):
                    if inner.is_dir(follow_symlinks=False):
                        os.chmod(inner.path, 0o700)
                        while os.path.lexists(f"{folder}/{serial}"):
                            serial += 1
                        os.rename(inner.path, f"{folder}/{serial}")
                    else:
                        os.unlink(inner.path)
                os.rmdir(entry.path)
        os.rmdir(folder)
