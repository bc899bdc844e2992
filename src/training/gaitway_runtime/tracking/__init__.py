"""Tracking: MLflow runs, checkpoint publication, the model registry, and fetching checkpoints by URI."""
