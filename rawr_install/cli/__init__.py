"""The command line: parse, call one operation, print, exit. The only importer of click.

Nobody but ``__main__`` comes in. Start with :mod:`~rawr_install.cli.main`, then :mod:`~rawr_install.cli.base` and
one command, ``activate`` in :mod:`~rawr_install.cli.setup`.
"""
