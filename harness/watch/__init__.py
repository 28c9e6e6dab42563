"""Reads counters of targets and their database from outside during rounds."""
