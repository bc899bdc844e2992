"""A stand-in for Isaac Lab 2.3 that a runtime process can import in the place of the real one.

This folder goes in front on ``PYTHONPATH``. Its packages have the names, the calls and the habits that the adapter
depends on: an application that must be started before torch and that takes over SIGTERM and standard output, a registry
of tasks with ``-Play`` variants, configurations as objects and as dictionaries, the wrappers of both generations of
rsl_rl, and an end that kills the process. Not a line of it is Isaac Lab's; what it cannot show is Kit and PhysX.
"""
