"""Several processes that train together: ranks, their group, their launcher."""
