"""Robot logs: reading them, replaying them, and naming what differs from the policy's contract."""
