"""Whether a folder is on a file system of this machine alone.

A kernel lock on a network file system may be kept by a server, by nobody, or
not reach the other machines; proof of life through it would be no proof.
"""

from __future__ import annotations

import os

MOUNTINFO = "/proc/self/mountinfo"
_LOCAL = {"ext2", "ext3", "ext4", "xfs", "btrfs", "zfs", "tmpfs", "ramfs", "overlay", "f2fs", "bcachefs", "jfs"}
_LOCAL |= {"reiserfs", "nilfs2", "vfat", "exfat", "ntfs3", "apfs", "hfs"}


def is_local(folder: str) -> bool:
    """Whether the real path ``folder`` is on a local file system; assumed where the system does not tell."""
    try:
        with open(MOUNTINFO, encoding="utf-8", errors="surrogateescape") as file:
            return kind_of(folder, file.read()) in _LOCAL
    except OSError:
        return True


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
