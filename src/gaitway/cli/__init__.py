"""The command line: one file a verb, found through :mod:`gaitway.cli.table`; ``render`` owns all output."""
