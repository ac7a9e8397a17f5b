"""A workspace's plugins: found, compared with the plugin manager's links, mended, switched on and off.

The command line comes in, and programs that call ``assess_install_state``. Start with
:mod:`~rawr_install.plugins.catalog`, then :mod:`~rawr_install.plugins.assess`, which is pure.
"""
