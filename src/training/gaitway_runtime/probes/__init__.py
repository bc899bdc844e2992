"""Small programs that check one thing in a process of their own and print one JSON line about it.

``gaitway doctor`` starts them with a time limit, so that a driver that crashes or a service that hangs is a finding.
"""
