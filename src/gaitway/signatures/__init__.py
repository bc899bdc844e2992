"""Signed release folders: their manifest, their signature, and the verification of both."""
