"""What changes the machine: install, activate, deactivate, rollback, uninstall, and what the user allows.

The command line comes in. Start with :mod:`~rawr_install.install.operations`,
then :mod:`~rawr_install.install.transaction`.
"""
