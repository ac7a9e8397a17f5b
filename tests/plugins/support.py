"""Moved."""

from tests.support.plugins import *  # noqa: F403
