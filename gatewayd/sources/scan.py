"""Which files are there: a recursive walk over the given paths."""

# ruff: noqa: PTH110, PTH116
# Thousands of files are looked at in each walk, and pathlib costs several times as much as os.path.
from __future__ import annotations

import os
from collections.abc import Iterator
from stat import S_ISDIR
from typing import Literal

import msgspec

from gatewayd.api.problem import Problem

SUFFIXES = (".yaml", ".yml", ".json")
Signature = tuple[int, int, int, int, int]


class Scan(msgspec.Struct):
    """`found` maps each file to its signature, in reading order; None marks one that is there but cannot be read.

    `lost` holds directories (and given paths) that could not be looked into: what was read below them earlier stays.
    `directories` are those that were looked into, the first of them first; `links`: there are symbolic links in them.
    """

    found: dict[str, Signature | None] = msgspec.field(default_factory=dict)
    lost: list[str] = msgspec.field(default_factory=list)
    directories: list[str] = msgspec.field(default_factory=list)
    links: bool = False
    problems: list[Problem] = msgspec.field(default_factory=list)


def signature(path: str) -> Signature:
    """What changes when a file is written or replaced, following symbolic links; OSError when it is not there."""
    status = os.stat(path)
    return status.st_mtime_ns, status.st_ctime_ns, status.st_size, status.st_ino, status.st_dev


def scan(paths: list[str]) -> Scan:
    """Every YAML and JSON file below `paths`, each once, in the order of the paths and then of the names.

    Names that begin with a dot are left out: they are editors' files, and the insides of a mounted ConfigMap
    (`..data` and `..2024_...`), whose visible names are links into them.
    """
    result = Scan()
    seen: set[tuple[int, int]] = set()
    for path in paths:
        try:
            status = os.stat(path)
        except OSError as error:
            _lose(result, path, error)
            continue
        if S_ISDIR(status.st_mode):
            _walk(path, seen, result)
        else:
            _take(path, seen, result)
    return result


def nothing(paths: list[str]) -> list[Problem]:
    """What to say when there is no file at all: a slip, or places that are filled later."""
    return [_problem(path, "holds no file to read", "files are *.yaml, *.yml, *.json", "warning") for path in paths]


def _walk(directory: str, seen: set[tuple[int, int]], result: Scan) -> None:
    try:
        status = os.stat(directory)
        if _again((status.st_dev, status.st_ino), seen):
            return
        with os.scandir(directory) as entries:
            children = sorted(_visible(entries), key=lambda each: each.name)
    except OSError as error:
        _lose(result, directory, error)
        return
    result.directories.append(directory)
    for child in children:
        result.links |= child.is_symlink()
        if _is_directory(child):
            _walk(child.path, seen, result)
        elif child.name.endswith(SUFFIXES) and not _refused(child, result):
            _take(child.path, seen, result)


def _visible(entries: Iterator[os.DirEntry[str]]) -> Iterator[os.DirEntry[str]]:
    return (each for each in entries if not each.name.startswith("."))


def _refused(entry: os.DirEntry[str], result: Scan) -> bool:
    """Whether an entry is reported and left out: its name cannot be written in a log or a status, or reading it might
    wait for ever (a FIFO, a device). A link that leads nowhere is reported when it is read.
    """
    path = os.fsencode(entry.path).decode("utf-8", "backslashreplace")
    if path != entry.path:
        message, hint = "the name of the file is not UTF-8", "rename it"
    elif not _is_file(entry) and os.path.exists(entry.path):
        message, hint = "is no regular file and is not read", "remove it"
    else:
        return False
    result.problems.append(_problem(path, message, hint))
    return True


def _is_file(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_file()
    except OSError:
        return False


def _is_directory(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:
        return False


def _take(path: str, seen: set[tuple[int, int]], result: Scan) -> None:
    try:
        found = signature(path)
    except OSError:
        if os.path.lexists(path):
            result.found[path] = None
        return
    if not _again(found[-1:-3:-1], seen):
        result.found[path] = found


def _again(identity: tuple[int, ...], seen: set[tuple[int, int]]) -> bool:
    """Whether this file or directory was reached before, by another name or in a circle of links."""
    device, inode = identity
    if (device, inode) in seen:
        return True
    seen.add((device, inode))
    return False


def _lose(result: Scan, path: str, error: OSError) -> None:
    result.lost.append(path)
    result.problems.append(_problem(path, f"cannot be read: {error.strerror}", advice(error)))


def _problem(path: str, message: str, hint: str, severity: Literal["error", "warning"] = "error") -> Problem:
    return Problem(file=path, line=0, object="", field="", message=message, hint=hint, severity=severity)


def advice(error: OSError) -> str:
    """What to do about a path that cannot be read; "" when nobody knows."""
    if isinstance(error, FileNotFoundError):
        return "check the path"
    return "check its permissions" if isinstance(error, PermissionError) else ""
