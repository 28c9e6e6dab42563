"""From samples and records to results: no clock, no process, no network, no unseeded chance."""
