"""This machine as values: the kinds of ``rawr``, one look at everything, plans made from it, changes and their records.

The doctor and the installing commands come in. Start with :mod:`~rawr_install.machine.facts`, then
:mod:`~rawr_install.machine.probe`, which fills them in, and :mod:`~rawr_install.machine.plan`.
"""
