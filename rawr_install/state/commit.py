"""One read-modify-write of ``state.json`` under a lease of ours, and the two checks that the lease held all the while.

Steps 5 to 8 and 10 of the manual (:mod:`~rawr_install.state.lock`).
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable

from rawr_install.atomic import discard, sync_folder
from rawr_install.errors import NotDurableError, StateError, os_error_name
from rawr_install.state.diagnostics import Diagnostics
from rawr_install.state.directory import Directory, failed
from rawr_install.state.failpoints import failpoint
from rawr_install.state.lease import Lease
from rawr_install.state.snapshot import Snapshot, whole

Update = Callable[[bytes | None], bytes | None]


class LeaseLost(Exception):  # noqa: N818 - caught by the transaction, which starts over
    """A check failed: another program broke exclusion, and nothing is acknowledged."""


class Commit:
    """The part of a transaction between acquiring the lease and releasing it."""

    def __init__(self, directory: Directory, update: Update, durable: bool, diagnostics: Diagnostics) -> None:
        self.directory = directory
        self.update = update
        self.durable = durable
        self.diagnostics = diagnostics
        self.snapshot: Snapshot | None = None
        self.target = directory.state_path

    def run(self, lease: Lease) -> None:
        """Read, update and replace; raises LeaseLost, StateError, NotDurableError, and what the update raises."""
        read = Snapshot if self.directory.filesystem.local else whole
        self.snapshot = snapshot = read(self.directory.state_path)
        self.target = snapshot.target
        failpoint("read")
        data = self._apply(lease, snapshot)
        if data is not None:
            self._replace(lease, snapshot, data)

    def _apply(self, lease: Lease, snapshot: Snapshot) -> bytes | None:
        data = self.update(snapshot.data)
        failpoint("mutated")
        if os.getpid() != lease.owner:
            raise StateError(
                "The change forked; its child has no lock and changes nothing.",
                code="FORKED_INSIDE_MUTATION",
                hint="leave the child with os._exit()",
            )
        return data

    def _replace(self, lease: Lease, snapshot: Snapshot, data: bytes) -> None:
        staged = ""
        try:
            staged = snapshot.stage(data, self.durable)
            failpoint("staged")
            self._check(lease, snapshot)
            failpoint("checked")
            os.replace(staged, snapshot.target)
            self.diagnostics.changed = True
            staged = ""
            failpoint("committed")
            self._confirm(lease)
            failpoint("confirmed")
        except FileNotFoundError:  # the directory, or the temporary file, was removed under us
            raise LeaseLost from None
        except OSError as error:
            raise failed(self.directory.path, error) from None
        finally:
            if staged:
                discard(staged)

    def _check(self, lease: Lease, snapshot: Snapshot) -> None:
        if not (lease.is_published() and snapshot.is_current()):
            raise LeaseLost

    def _confirm(self, lease: Lease) -> None:
        try:
            if not lease.is_published():
                raise LeaseLost
        except OSError as error:  # past the rename: "nothing was changed" would be a lie
            raise self.not_durable("the lock could not be looked at afterwards", error) from None

    def close(self) -> None:
        """Let the old file go."""
        snapshot, self.snapshot = self.snapshot, None
        if snapshot is not None:
            snapshot.close()

    def sync(self) -> None:
        """Sync the directory, after the release; raises NotDurableError."""
        if not (self.diagnostics.changed and self.durable):
            return
        try:
            sync_folder(os.path.dirname(self.target))
        except OSError as error:
            if error.errno != errno.EINVAL:
                raise self.not_durable("its folder could not be synced", error) from None
            self.diagnostics.degrade("folders cannot be synced here")
            return
        self.diagnostics.durable = True
        failpoint("synced")

    def not_durable(self, what: str, error: OSError) -> NotDurableError:
        name = os_error_name(error)
        return NotDurableError(
            f"{self.directory.state_path} has its new content, but {what} ({name}).",
            hint="check the disk, then repeat the command",
            details={"path": self.directory.state_path, "errno": name},
        )
