"""Removes a folder whatever hostile code did to it: nesting beyond PATH_MAX, closed modes, foreign names.

Standard library only: both the caller and the zygote hold it. Nobody may still write there. Does not follow symbolic links.
"""

from pathlib import Path


def remove_tree(folder: Path) -> None:
    """Removes `folder`, if there: folders inside are lifted to its top, level by level, so that no path grows long."""
    try:
        folder.rmdir()  # nearly always empty
        return
    except FileNotFoundError:
        return
    except OSError:
        folder.chmod(0o700)
    serial = 0
    while entries := list(folder.iterdir()):
        for entry in entries:
            if not _is_folder(entry):
                entry.unlink()
                continue
            entry.chmod(0o700)
            for inner in list(entry.iterdir()):
                if _is_folder(inner):
                    inner.chmod(0o700)
                    serial = _free(folder, serial)
                    inner.rename(folder / str(serial))
                else:
                    inner.unlink()
            entry.rmdir()
    folder.rmdir()


def _is_folder(path: Path) -> bool:
    return path.is_dir() and not path.is_symlink()


def _free(folder: Path, serial: int) -> int:
    while (folder / str(serial)).exists() or (folder / str(serial)).is_symlink():
        serial += 1
    return serial
