"""Checkpoints that runs have made: references such as ``anymal-3@best``, and lists of addresses ready to paste."""
