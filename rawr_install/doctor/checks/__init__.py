"""The checks: one pure function of the facts for each stable id. Pure.

A check answers None where all is well. What explains the verdict
(:mod:`rawr_install.doctor.verdict`) is reported as ``fail``; on a machine
whose verdict is healthy nothing is worse than ``warn``. They stand in the order in which to mend what they find.
"""

from rawr_install.doctor.checks import policy, entry, owner, state, environment, workspace  # noqa: F401, I001 - registers them
from rawr_install.doctor.checks.registry import CHECKS, Check

__all__ = ["CHECKS", "Check"]
