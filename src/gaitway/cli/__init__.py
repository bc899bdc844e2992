"""Command line: the table of verbs is :mod:`gaitway.cli.verbs`; :mod:`gaitway.cli.output` writes everything."""
