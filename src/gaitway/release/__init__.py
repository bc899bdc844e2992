"""Releases: a policy's exports, verdict and provenance in one signed folder, and as an OCI artifact."""
