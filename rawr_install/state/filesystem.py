"""What a folder's file system can be believed: whether it is of this machine alone, and what time it is there.

A kernel lock on a network file system may be kept by a server, by nobody, or
not reach the other machines; proof of life through it would be no proof. Through
FUSE nobody sees who has the file behind it open.
"""

from __future__ import annotations

import os
import time
from typing import NamedTuple

MOUNTINFO = "/proc/self/mountinfo"
_LOCAL = {"ext2", "ext3", "ext4", "xfs", "btrfs", "zfs", "tmpfs", "ramfs", "overlay", "f2fs", "bcachefs", "jfs"}
_LOCAL |= {"reiserfs", "nilfs2", "vfat", "exfat", "ntfs3", "apfs", "hfs", "ecryptfs", "ubifs", "fuse.fuse-overlayfs"}
# There fcntl(2) refuses a read lease with EAGAIN wherever the server has delegated nothing, whoever has the file open.
_SERVED = {"nfs4", "cifs", "smb3"}


class Volume(NamedTuple):
    """``local``: of this machine alone. ``leases``: the kernel refuses a read lease only while the file is open."""

    local: bool = True
    leases: bool = True


def volume_of(folder: str) -> Volume:
    """What the file system of the real path ``folder`` can be believed; local where the system does not tell."""
    try:
        with open(MOUNTINFO, encoding="utf-8", errors="surrogateescape") as file:
            kind = kind_of(folder, file.read())
        # In a chroot no mount leads to the folder: a block device is of this machine, what has none may be anybody's.
        return Volume(kind in _LOCAL or (not kind and os.major(os.stat(folder).st_dev) != 0), kind not in _SERVED)
    except OSError:
        return Volume()


def time_at(folder: str, volume: Volume) -> float:
    """The time in the folder, in seconds since the epoch, by the clock that stamps its files.

    On another machine that clock may go otherwise than ours: there it is the time stamp of a file made to ask for it.
    """
    if volume.local:
        return time.time()
    try:
        return _mtime_of_a_new_file(f"{folder}/state.{os.getpid()}.{os.urandom(4).hex()}.tmp")
    except OSError:  # then nothing can be taken there, either
        return time.time()


def _mtime_of_a_new_file(name: str) -> float:
    fd = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        return os.fstat(fd).st_mtime
    finally:
        os.close(fd)
        os.unlink(name)


def kind_of(folder: str, mountinfo: str) -> str:
    """The file system type of the last mount on the way to ``folder`` (proc(5), mountinfo)."""
    best, kind = -1, ""
    for line in mountinfo.splitlines():
        left, _, right = line.partition(" - ")
        fields = left.split(" ")
        point = _unescape(fields[4]) if len(fields) > 4 else ""
        # Later mounts on the same point cover earlier ones.
        if point and len(point) >= best and _is_under(folder, point):
            best, kind = len(point), right.split(" ")[0]
    return kind


def _is_under(folder: str, point: str) -> bool:
    return folder == point or folder.startswith(point.rstrip(os.sep) + os.sep)


def _unescape(text: str) -> str:
    for code in ("\\040", "\\011", "\\012", "\\134"):
        text = text.replace(code, chr(int(code[1:], 8)))
    return text
