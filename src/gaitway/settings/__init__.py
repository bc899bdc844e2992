"""Settings: what can be set, where each value came from, and what it shadowed."""
