"""Stores of runs and files: MLflow clients, artifact repositories, HTTP sources, Azure identities."""
