"""What a disk may hold after a power cut: a small model of a file system, fed with recorded system calls.

The model is POSIX's promise and no more. Two kinds of things are in flight:

* a file's bytes are on the disk as of its last ``fsync``; later ones may or may not have arrived;
* a folder's names are on the disk as of the folder's last ``fsync``; later creations, links, renames and removals
  arrive in order, and any number of them may be missing.

A *cut* is therefore (calls made, names arrived, bytes arrived?), and ``disks`` gives the resulting tree of each.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tests.state.stress.tracing import Call, mark_of, text

# Calls that change neither a name nor a byte of a file.
HARMLESS = {
    *(
        "close",
        "read",
        "pread64",
        "lseek",
        "fstat",
        "newfstatat",
        "stat",
        "lstat",
        "statx",
        "access",
        "readlink",
        "fcntl",
    ),
    *("flock", "getdents64", "ioctl", "getpid", "gettid", "kill", "tgkill", "utimensat", "fchmod", "fchown", "uname"),
    *("getrandom", "clock_nanosleep", "restart_syscall", "sysinfo"),
}
Disk = dict[str, bytes]


@dataclass(eq=False)
class File:
    """Bytes now, and bytes as of the last fsync; or a folder that the run made."""

    data: bytes = b""
    synced: bytes = b""
    folder: bool = False


@dataclass
class Naming:
    """One change of a name: ``file`` is None where the name went away."""

    path: str
    file: File | None


@dataclass
class Model:
    """The tree under one folder. ``names`` is its history, ``settled[folder]`` how much of it is on the disk there."""

    names: list[Naming] = field(default_factory=list)
    settled: dict[str, int] = field(default_factory=dict)
    _open: dict[int, tuple[File, int]] = field(default_factory=dict)

    @classmethod
    def of(cls, folder: Path) -> Model:
        """The folder as it is, all of it on the disk."""
        model = cls()
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                model.names.append(Naming(str(path), File(path.read_bytes(), path.read_bytes())))
        model.settled = {str(path): len(model.names) for path in [folder, *folder.rglob("*")] if path.is_dir()}
        return model

    def now(self) -> dict[str, File]:
        return self.after(len(self.names))

    def after(self, arrived: int) -> dict[str, File]:
        """The names when the first ``arrived`` changes, and what each folder's fsync settled, are there."""
        tree: dict[str, File] = {}
        for number, naming in enumerate(self.names):
            if number < max(arrived, self.settled.get(os.path.dirname(naming.path), 0)):
                tree.pop(naming.path, None)
                if naming.file is not None:
                    tree[naming.path] = naming.file
        lacking = {naming.path for naming in self.names if naming.file and naming.file.folder} - tree.keys()
        return {path: file for path, file in tree.items() if not lacking.intersection(_above(path))}

    def disks(self) -> Iterator[Disk]:
        """Every disk that a power cut now may leave."""
        first = min(self.settled.values(), default=0)
        for arrived in range(first, len(self.names) + 1):
            tree = self.after(arrived)
            yield {path: file.data for path, file in tree.items() if not file.folder}
            yield {path: file.synced for path, file in tree.items() if not file.folder}

    # -- the calls ----------------------------------------------------------

    def apply(self, call: Call) -> None:
        """Carry out a recorded call; fails on one that the model does not know."""
        if call.result < 0 or mark_of(call) or call.name in HARMLESS:
            return
        handler = getattr(self, f"_do_{call.name}", None)
        assert handler is not None, f"the model does not know {call}"
        handler(_split(call.arguments), call.result)

    def _do_openat(self, words: list[str], fd: int) -> None:
        path, flags = _path(words[0], words[1]), words[2]
        if "O_TMPFILE" in flags:
            self._open[fd] = File(), 0
            return
        file = self.now().get(path)
        if file is None and "O_CREAT" in flags:
            file = File()
            self.names.append(Naming(path, file))
        if file is not None:
            file.data = b"" if "O_TRUNC" in flags else file.data
            self._open[fd] = file, len(file.data) if "O_APPEND" in flags else 0

    def _do_write(self, words: list[str], written: int) -> None:
        fd = _fd(words[0])
        if fd in self._open:
            file, offset = self._open[fd]
            self._put(file, _bytes(words[1])[:written], offset)
            self._open[fd] = file, offset + written

    def _do_pwrite64(self, words: list[str], written: int) -> None:
        fd = _fd(words[0])
        if fd in self._open:
            self._put(self._open[fd][0], _bytes(words[1])[:written], int(words[3]))

    def _put(self, file: File, data: bytes, offset: int) -> None:
        file.data = file.data[:offset].ljust(offset, b"\0") + data + file.data[offset + len(data) :]

    def _do_ftruncate(self, words: list[str], _: int) -> None:
        file, _offset = self._open[_fd(words[0])]
        file.data = file.data[: int(words[1])].ljust(int(words[1]), b"\0")

    def _do_fsync(self, words: list[str], _: int) -> None:
        path, fd = _shown(words[0]), _fd(words[0])
        if path in self.settled:
            self.settled[path] = len(self.names)
        elif fd in self._open:
            self._open[fd][0].synced = self._open[fd][0].data

    _do_fdatasync = _do_fsync

    def _do_rename(self, words: list[str], _: int) -> None:
        self._move(_path("", words[0]), _path("", words[1]))

    def _do_renameat(self, words: list[str], _: int) -> None:
        self._move(_path(words[0], words[1]), _path(words[2], words[3]))

    _do_renameat2 = _do_renameat

    def _move(self, old: str, new: str) -> None:
        file = self.now().get(old)
        if file is not None:
            # Weaker than a journal's promise: a cut between the two leaves both names.
            self.names.append(Naming(new, file))
            self.names.append(Naming(old, None))

    def _do_link(self, words: list[str], _: int) -> None:
        self.names.append(Naming(_path("", words[1]), self.now()[_path("", words[0])]))

    def _do_linkat(self, words: list[str], _: int) -> None:
        source = _path(words[0], words[1])
        number = re.fullmatch(r"/proc/self/fd/(\d+)", source)
        file = self._open[int(number[1])][0] if number else self.now()[source]
        self.names.append(Naming(_path(words[2], words[3]), file))

    def _do_unlink(self, words: list[str], _: int) -> None:
        self.names.append(Naming(_path("", words[0]), None))

    def _do_unlinkat(self, words: list[str], _: int) -> None:
        self.names.append(Naming(_path(words[0], words[1]), None))

    def _do_mkdir(self, words: list[str], _: int) -> None:
        self._make_folder(_path("", words[0]))

    def _do_mkdirat(self, words: list[str], _: int) -> None:
        self._make_folder(_path(words[0], words[1]))

    def _make_folder(self, path: str) -> None:
        self.names.append(Naming(path, File(folder=True)))
        self.settled[path] = 0


def _above(path: str) -> list[str]:
    return [str(parent) for parent in Path(path).parents]


def _split(arguments: str) -> list[str]:
    return arguments.split(", ")  # every string is hexadecimal (strace -xx), none holds a comma


def _bytes(word: str) -> bytes:
    assert not word.endswith("..."), "strace cut a string short"
    return bytes.fromhex(word.strip('"').replace("\\x", ""))


def _fd(word: str) -> int:
    return int(word.partition("<")[0])


def _shown(word: str) -> str:
    """The path that ``strace -y`` gives beside a descriptor."""
    return text(word.partition("<")[2].partition(">")[0])


def _path(folder: str, name: str) -> str:
    return os.path.normpath(os.path.join(_shown(folder) if folder else "", text(name.strip('"'))))
