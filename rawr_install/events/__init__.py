"""What happened on this machine: run and desk events, the local log, its reader.

Whoever changes something tells :mod:`~rawr_install.events.log`; only the command
line reads. Start with :mod:`~rawr_install.events.telemetry`, which is pure.
"""
