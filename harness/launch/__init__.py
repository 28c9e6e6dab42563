"""Starts and ends targets, their database and other processes of a run."""
