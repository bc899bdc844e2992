"""Sweeps: variations of a training, each a run of its own; their leaderboard, importances, and the winner's command."""
