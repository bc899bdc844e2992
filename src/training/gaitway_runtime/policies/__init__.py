"""Policies: reading checkpoints of any known library, the policy contract, export and parity."""
