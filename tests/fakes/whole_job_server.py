"""What a process imports that whole jobs are forked from."""

import mlflow.store.tracking.sqlalchemy_store  # noqa: F401

from .whole_job import warm_up

warm_up()
