"""Policies of any origin: their files looked into before anything of them runs, and run in a confined process."""
