"""Evaluation: rollouts, metrics, the gate, videos, plots and the report."""
