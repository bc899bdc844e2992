"""Exam of a policy of any origin: its conventions read or found, the policy played, and a card written."""
