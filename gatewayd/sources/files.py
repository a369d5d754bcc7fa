"""Objects from files and directories, read again only where something changed.

A file that cannot be parsed keeps its last good objects; so does an object that became invalid, and a file that is
unreadable for now. What was taken out of a file that can be parsed is gone, and so is what stood in a removed file.
"""

# ruff: noqa: PTH100, PTH114, PTH123, PTH206
# Thousands of files are looked at in each walk, and pathlib costs several times as much as os.path.
from __future__ import annotations

import bisect
import gc
import os
import time
from collections.abc import Iterable
from itertools import chain
from typing import NamedTuple

import msgspec

from gatewayd.api.decode import once_a_kind
from gatewayd.api.objects import Object, Objects
from gatewayd.api.pieces import MAX_FILE_BYTES
from gatewayd.api.problem import Problem
from gatewayd.sources.file import File
from gatewayd.sources.scan import Scan, Signature, advice, nothing, scan, signature
from gatewayd.sources.tree import Tree

# A file system stamps times with the tick of the kernel: two writes within one leave the same signature.
TICK_NS = 50_000_000
# For how long an empty file counts as one that an editor has truncated and is about to write.
TRUNCATED_NS = 500_000_000


class Loaded(msgspec.Struct, frozen=True):
    """The objects in force. `changed`: they or the problems differ from the last load.

    `unsettled`: a file was caught while it was being written; its last good objects are in force, load again soon.
    """

    objects: Objects
    problems: list[Problem]
    changed: bool
    unsettled: bool = False


class Edit(NamedTuple):
    """What one file gave before, and what it gives now."""

    path: str
    before: tuple[Object, ...]
    after: tuple[Object, ...]

    @property
    def same(self) -> bool:
        """Whether these are the same objects, perhaps in other versions."""
        return [each.key for each in self.before] == [each.key for each in self.after]


class FileSource:
    """The objects below some paths. Not safe for use by several threads at once."""

    def __init__(self, paths: Iterable[str | os.PathLike[str]]) -> None:
        """Nothing is read before the first `load`."""
        self.paths = [os.path.normpath(os.fspath(path)) for path in paths]
        self._files: dict[str, File] = {}
        self._tree = Tree()
        self._walked = Scan()
        self._objects = Objects()
        self._problems: list[Problem] | None = None
        self._writing: set[str] = set()
        self._noisy: set[str] = set()  # the files with something to report
        # What the load under way found: files, each with its objects before and now; None when that is not all.
        self._edits: list[Edit] | None = None

    def load(self, changed: Iterable[str | os.PathLike[str]] | None = None) -> Loaded:
        """Read what changed and return everything. Never raises for what it finds in files.

        `changed` are the only paths that may have changed, if the caller knows (a watcher does); anything among them
        of which it is not clear what it means leads to a full walk.
        """
        self._edits = []
        known = None if changed is None else self._known(changed)
        collecting = gc.isenabled()
        gc.disable()  # thousands of objects are made that all stay: looking for cycles takes a third of the time
        try:
            touched = self._walk() if known is None else self._look(known | self._writing)
            return self._result(touched or self._edits != [])
        finally:
            if collecting:
                gc.enable()

    def _known(self, changed: Iterable[str | os.PathLike[str]]) -> set[str] | None:
        """The files that are meant; those that are new are among ours afterwards. None when only a walk can tell."""
        known, new = set(), set()
        for each in {os.path.abspath(path) for path in changed}:
            path = self._tree.path(each)
            if path in self._files:
                known.add(path)
            elif self._tree.new(path):
                new.add(path)
            elif not self._tree.ignored(each):
                return None
        if new:
            self._enter(new)
        return known | new

    def _enter(self, paths: set[str]) -> None:
        """Take in new files, each at the place where a walk would come upon it."""
        names = list(self._files)
        for path in paths:
            bisect.insort(names, path, key=lambda each: each.split(os.sep))
        self._files = {path: self._files.get(path) or File(path) for path in names}
        self._edits = [Edit(path, (), ()) for path in paths]

    def _walk(self) -> bool:
        """Compare all files with their signatures."""
        walked = scan(self.paths)
        touched = walked.problems != self._walked.problems
        self._walked = walked
        files: dict[str, File] = {}
        for path, found in walked.found.items():
            files[path] = self._files.get(path) or File(path)
            touched |= self._refresh(files[path], found, again=False)
        for path, file in self._files.items():
            if path not in files and any(path == lost or path.startswith(lost + os.sep) for lost in walked.lost):
                files[path] = file
        if list(files) != list(self._files):
            touched, self._edits = True, None
        self._files = files
        self._noisy &= set(files)
        self._tree = Tree(self.paths, walked)
        self._writing &= set(files)
        return touched

    def _look(self, paths: set[str]) -> bool:
        """Read these files again, whatever their signatures say; one that is gone is dropped."""
        touched = False
        for path in sorted(paths):
            try:
                found = signature(path)
            except OSError:
                if not os.path.lexists(path):
                    touched |= self._drop(path)
                    continue
                found = None
            touched |= self._refresh(self._files[path], found, again=True)
        return touched

    def _drop(self, path: str) -> bool:
        file = self._files.pop(path)
        self._note(Edit(path, file.objects, ()), kept=bool(file.kept))
        self._noisy.discard(path)
        self._writing.discard(path)
        return True

    def _refresh(self, file: File, found: Signature | None, *, again: bool) -> bool:
        """Read `file` if its signature changed; True when something about it is different now."""
        if found is not None and found == file.signature and file.settled and not again:
            return False
        before = file.objects, file.kept, file.problems, file.failed
        self._read(file, found)
        self._note(Edit(file.path, before[0], file.objects), kept=bool(before[1] or file.kept))
        (self._noisy.add if file.problems or file.failed or file.kept else self._noisy.discard)(file.path)
        return (file.objects, file.kept, file.problems, file.failed) != before

    def _note(self, edit: Edit, *, kept: bool) -> None:
        """Objects that are kept can stand elsewhere now, so an edit does not tell the whole."""
        if kept:
            self._edits = None
        elif self._edits is not None and edit.before is not edit.after:
            self._edits.append(edit)

    def _read(self, file: File, found: Signature | None) -> None:
        self._writing.discard(file.path)
        now = time.time_ns()
        try:
            if found is None:
                found = signature(file.path)
            with open(file.path, "rb") as stream:
                text = stream.read(MAX_FILE_BYTES + 1)
            after = signature(file.path)
        except OSError as error:
            file.signature = None
            if not os.path.lexists(file.path):
                self._writing.add(file.path)
                return
            file.fail(_unreadable(file, error))
            return
        truncated = not text and bool(file.objects) and now - after[0] < TRUNCATED_NS
        if after != found or truncated:
            self._writing.add(file.path)
            file.signature = None
            if file.parts or file.kept or truncated:
                return
        else:
            file.signature, file.settled = found, now - found[0] > TICK_NS
        file.read(text, self._earlier)

    def _earlier(self, key: str) -> Object | None:
        kind, namespace, name = key.split("/", 2)
        return self._objects.get(kind, namespace, name)

    def _result(self, touched: bool) -> Loaded:
        if not touched and self._problems is not None:
            return Loaded(self._objects, self._problems, changed=False, unsettled=bool(self._writing))
        noisy = [self._files[path] for path in self._files if path in self._noisy] if self._noisy else []
        objects = self._index(noisy)
        found = list(self._walked.problems)
        if not self._files and not found:
            found = nothing(self.paths)
        found += chain.from_iterable([file.report() for file in noisy])
        problems = once_a_kind([*found, *objects.problems])
        changed = problems != self._problems or objects.all() != self._objects.all()
        self._objects = objects if changed else self._objects
        self._problems = problems
        return Loaded(self._objects, problems, changed, unsettled=bool(self._writing))

    def _index(self, noisy: list[File]) -> Objects:
        """All objects in force; one that was kept gives way to a valid one of the same key in another file."""
        keeping = [file for file in noisy if file.kept]
        if not keeping and self._edits is not None and not self._objects.problems:
            edited = self._edited(self._edits)
            if edited is not None:
                return edited
        if not keeping:
            return Objects(chain.from_iterable([file.objects for file in self._files.values()]))
        fresh = {item.key for file in self._files.values() for item in file.objects}
        for file in keeping:
            file.kept = {key: item for key, item in file.kept.items() if key not in fresh}
        return Objects(item for file in self._files.values() for item in (*file.objects, *file.kept.values()))

    def _edited(self, edits: list[Edit]) -> Objects | None:
        """The index by new versions of objects, and by one file in which objects came or went; None when it is more."""
        moving = [edit for edit in edits if not edit.same]
        if len(moving) > 1:
            return None
        pairs = chain.from_iterable(zip(edit.before, edit.after, strict=True) for edit in edits if edit.same)
        objects = self._objects.replacing([(old, new) for old, new in pairs if old is not new])
        for edit in moving:
            return objects.moved(edit.before, edit.after, self._following(edit.path))
        return objects

    def _following(self, path: str) -> Object | None:
        """The first object that is read after this file."""
        names = list(self._files)
        later = names[names.index(path) + 1 :] if path in self._files else ()
        return next((self._files[name].objects[0] for name in later if self._files[name].objects), None)


def _unreadable(file: File, error: OSError) -> Problem:
    dangling = isinstance(error, FileNotFoundError) and os.path.islink(file.path)
    message = "the link leads nowhere" if dangling else f"cannot be read: {error.strerror}"
    hint = "remove it, or create what it leads to" if dangling else advice(error)
    if file.objects or file.kept:
        hint = "objects that were read from it earlier stay in force"
    return Problem(file=file.path, line=0, object="", field="", message=message, hint=hint)
