"""A person at a terminal: what it shows, tables, progress, Ctrl-C. The commands come in.

Start with :mod:`~rawr_install.cli.screen.terminal`.
"""
