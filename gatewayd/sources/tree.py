"""What a changed path means for the files that were read: one of them, one more, nothing, or unknown.

A watcher reports whatever moves below the directories: the files of ours, and the spare copies of editors, the lock
files of version control, what is renamed into its place a moment later. Most of it can be told from what the last walk
saw of the directories, and needs no other walk over ten thousand files.
"""

# ruff: noqa: PTH100, PTH118, PTH119
# As `sources.files` has paths: text, as os.path makes it.
from __future__ import annotations

import os
from collections.abc import Collection, Iterable
from stat import S_ISDIR, S_ISLNK, S_ISREG

from gatewayd.sources.scan import SUFFIXES, Scan


class Tree:
    """The directories of one walk. `new` and `ignored` say True only where nothing is out of the ordinary: below one
    directory, without symbolic links (a hidden file can be what one leads to) and without problems of the walk.
    """

    def __init__(self, paths: Iterable[str] = (), walked: Scan | None = None) -> None:
        """`paths` are those that were walked."""
        walked = walked or Scan()
        roots = list(paths)
        self._directories = {os.path.abspath(path): path for path in walked.directories}
        self._given = {os.path.abspath(path): path for path in roots if path not in walked.directories}
        self._plain = len(roots) == len(walked.directories[:1]) == 1 and not (walked.links or walked.problems)

    def path(self, changed: str) -> str:
        """The changed path (absolute) as a walk would name it; "" when no walk would come upon it."""
        parent, name = os.path.split(changed)
        directory = self._directories.get(parent)
        return self._given.get(changed, "") if directory is None else os.path.join(directory, name)

    def new(self, path: str) -> bool:
        """Whether a file that no walk has found stands there now, and nothing is special about it."""
        if not self._plain or not path or os.path.basename(path).startswith(".") or not path.endswith(SUFFIXES):
            return False
        try:
            status = os.lstat(path)
            path.encode()
        except (OSError, UnicodeEncodeError):
            return False
        return S_ISREG(status.st_mode) and status.st_nlink == 1  # by another name it may have been read already

    def ignored(self, changed: str) -> bool:
        """Whether a path (absolute) that is no file of ours can be passed over: it is hidden, or it is gone and was no
        directory, or it is a file without one of our suffixes.
        """
        if not self._plain or changed in self._directories:
            return False
        parent, name = os.path.split(changed)
        if parent not in self._directories:
            return any(_hidden(part) for part in self._below(parent))
        if _hidden(name):
            return True
        try:
            mode = os.lstat(changed).st_mode
        except FileNotFoundError:
            return True
        except OSError:
            return False
        return not (S_ISDIR(mode) or S_ISLNK(mode) or name.endswith(SUFFIXES))

    def _below(self, path: str) -> Collection[str]:
        """The part of a path that lies below the walked directory nearest to it, in its components."""
        parts: list[str] = []
        while path not in self._directories:
            path, name = os.path.split(path)
            if not name:
                return ()
            parts.append(name)
        return parts[-1:]


def _hidden(name: str) -> bool:
    """Two dots are no hiding place: the parts of a mounted ConfigMap are called so."""
    return name.startswith(".") and not name.startswith("..")
