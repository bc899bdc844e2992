"""What runs beside the simulator: on a laptop, in an Azure ML job or in an OSMO task.

The package is shipped whole with every job. Importing it, or any module named in
:data:`VOCABULARY`, needs only the standard library; every heavy library is imported where it is used.
"""

VOCABULARY = ("job", "fields", "errors", "result", "catalog")
"""Modules of this package that the user's side (``gaitway``) may import at start-up: standard library only."""
