"""Payload: the files that are shipped with a job, selected, listed, hashed and packed reproducibly."""
