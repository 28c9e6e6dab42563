"""Runs a plan: launch, verify, drive round by round, and store the results."""
