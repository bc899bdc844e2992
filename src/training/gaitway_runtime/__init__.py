"""The part of gaitway that runs beside the simulator: on a laptop, in an Azure ML job or in an OSMO task.

The package is shipped whole with every job. Importing it, or anything in :mod:`gaitway_runtime.spec`, needs only the
standard library; every heavy library is imported where it is used.
"""
