"""Isaac Sim is here."""
