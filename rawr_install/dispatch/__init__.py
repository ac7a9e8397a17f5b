"""What ``rawr`` runs: which workspace is meant, whether it may run, what starts its CLI.

Everybody may come in: every command asks here which workspace is meant and
whether it is trusted. The room itself imports ``os``, ``sys`` and ``stat`` and
nothing heavier, since each ``rawr`` that is not plain success pays for it.
Start with :mod:`~rawr_install.dispatch.decide`, beside ``shims/rawr``.
"""
