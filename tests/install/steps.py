"""Moved."""

from tests.support.steps import *  # noqa: F403
