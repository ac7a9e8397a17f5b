"""The checks: one pure function of the facts for each stable id. Pure.

A check answers None where all is well. What it reports as ``fail`` is the
reason for an unhealthy verdict (:mod:`rawr_install.doctor.verdict`); on a
machine whose verdict is healthy nothing is worse than ``warn``.
"""

from __future__ import annotations

from rawr_install.doctor.checks import policy, entry, owner, state, environment, workspace  # isort: skip (the order of the report)
from rawr_install.doctor.checks.registry import CHECKS, Check
from rawr_install.doctor.verdict import reason

__all__ = ["CHECKS", "Check", "entry", "environment", "owner", "policy", "reason", "state", "workspace"]
