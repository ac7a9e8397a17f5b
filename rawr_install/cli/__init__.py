"""The command line: parse, call one operation, print, exit. The only importer of click."""
