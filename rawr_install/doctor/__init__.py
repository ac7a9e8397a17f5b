"""Why ``rawr`` does what it does here: checks, verdict, remedies, and the chain of ``which``.

The command line comes in. Start with :mod:`~rawr_install.doctor.diagnose`, then
any of :mod:`~rawr_install.doctor.checks`.
"""
