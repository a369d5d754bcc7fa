"""Tells when the files may have changed: the kernel's notifications, and a slow look now and then as a safety net.

It only says "look again"; what changed, the source finds out. Notifications miss some things (network file systems, the
targets of symbolic links outside of the tree, a limit of watches); the slow look does not.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import watchfiles

from gatewayd.observe.log import Log

STEP_MS = 10  # a burst of changes ends when nothing more happens for this long
DEBOUNCE_MS = 200  # at the latest then a burst is reported
UNNAMED_PAUSE = 0.2  # seconds after a change of a file that has no name in UTF-8
_UNNAMED = "Unable to decode path"  # how watchfiles says so, instead of telling any change
Find = Callable[[Iterable[str]], set[Path]]
Wanted = Callable[[watchfiles.Change, str], bool]
SUFFIXES = (".yaml", ".yml", ".json")


def relevant(_: watchfiles.Change, path: str) -> bool:
    """Whether a change of `path` can matter: a file of ours, the `..data` link of a ConfigMap mount, a directory."""
    place = Path(path)
    return place.suffix.lower() in SUFFIXES or not place.suffix or place.name.startswith("..") or place.is_dir()


def trees(paths: Iterable[str]) -> set[Path]:
    """The directories to watch with all that is in them."""
    return {Path(path).resolve() for path in paths if Path(path).is_dir()}


def directories(paths: Iterable[str]) -> set[Path]:
    """The directories to watch by themselves: a file is watched through its directory, because editors and `ln -sf`
    replace files; so is a directory that is given through a link, and the directory that a linked file stands in.
    """
    found = {Path(path).absolute().parent for path in paths}
    found |= {Path(path).resolve().parent for path in paths if not Path(path).is_dir()}
    return {place for place in found if place.is_dir()}


class Watch:
    """Calls `touched` (from a thread of its own) soon after files under `paths` may have changed: with the paths that
    changed, or with None when that could be any.
    """

    def __init__(self, paths: Sequence[str], touched: Callable[[set[str] | None], None], log: Log) -> None:
        self._paths = paths
        self._touched = touched
        self._log = log
        self._stop = threading.Event()
        self._warned = False

    def start(self) -> None:
        """Watch from now on."""
        names = {Path(path).absolute().name for path in self._paths}

        def named(_: watchfiles.Change, path: str) -> bool:
            return Path(path).name in names or _is_link(path)

        for what in ((trees, relevant, True), (directories, named, False)):
            threading.Thread(target=self._follow, args=what, daemon=True, name="watch").start()

    def stop(self) -> None:
        """End the threads, in a moment."""
        self._stop.set()

    def _follow(self, find: Find, wanted: Wanted, recursive: bool) -> None:
        while not self._stop.is_set():
            found = find(self._paths)
            try:
                if found:
                    self._watch(find, found, wanted, recursive)
                    self._touched(None)  # what happened between two watches was not seen
                    continue
            except (OSError, RuntimeError) as error:  # watchfiles raises both, e.g. at the limit of watches
                if _UNNAMED in str(error):
                    self._stop.wait(UNNAMED_PAUSE)
                    self._touched(None)
                    continue
                self._warn(error)
            self._stop.wait(1.0)

    def _watch(self, find: Find, found: set[Path], wanted: Wanted, recursive: bool) -> None:
        """Watch until the set of directories is another one, which is asked twice a second and after changes."""
        for changes in watchfiles.watch(
            *found,
            watch_filter=wanted,
            step=STEP_MS,
            debounce=DEBOUNCE_MS,
            stop_event=self._stop,
            rust_timeout=500,
            yield_on_timeout=True,
            raise_interrupt=False,
            recursive=recursive,
            ignore_permission_denied=True,
        ):
            if changes:
                self._touched({path for _, path in changes})
            if find(self._paths) != found:
                return

    def _warn(self, error: Exception) -> None:
        if not self._warned:
            self._warned = True
            self._log.warning(
                "files cannot be watched by notification; changes are noticed with some seconds of delay",
                error=str(error),
                hint="raise the limit: sysctl fs.inotify.max_user_watches fs.inotify.max_user_instances",
            )


def _is_link(path: str) -> bool:
    return Path(path).is_symlink() or Path(path).name.startswith("..")
