"""This machine: the same payload and ``job.json`` as everywhere, in a process group of its own."""
