"""Fault suite: kills, faulty servers, full disks, clocks and owners, injected into whole jobs; a table of what held."""
