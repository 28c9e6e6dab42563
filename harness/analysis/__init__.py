"""From samples and records to results: no clock, process, network or unseeded random numbers."""
