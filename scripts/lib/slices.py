"""The slices of the contract that are proven by tests, and the promises that each must prove."""

from __future__ import annotations

C1 = """
exclusion.rival-inside exclusion.crowd lock.record lock.dead-holder lock.dead-peer peer.respected peer.old-and-alive
lost.not-acknowledged lost.done-again lost.at-the-rename write.atomic write.durable write.only-changes
format.bytes format.unknown-keys format.one-list refuse.foreign-content refuse.newer-version
mutator.nested mutator.raises survive.link-and-mode read.no-lock root.real-path
"""
C2 = """
event.shape event.lifecycle trace.links run.completed run.failed run.none run.killed lock.emits lock.counted
log.crowd log.append log.bounded log.never-fails log.local reader.all-lines reader.choice reader.follow
"""
C3 = """
install.lines install.cli-missing install.other-owner install.foreign-entry install.managed-entry install.keeps-kind
activate.idempotent activate.dry-run activate.rivals activate.all-or-nothing activate.killed
rollback deactivate uninstall owner.grammar doctor.document dispatch.table dispatch.fallback dispatch.trust
plugins.document
"""
C4 = "D-010.ends-once D-010.never-fails D-010.bounded"

REQUIRED: dict[str, frozenset[str]] = {
    name: frozenset(ids.split()) for name, ids in {"C1": C1, "C2": C2, "C3": C3, "C4": C4}.items()
}
