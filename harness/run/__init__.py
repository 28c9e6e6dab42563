"""Carrying out a plan: launch, verify, drive round by round, and keep what that yields."""
