"""Execution of loads: when flows start, and the driver's resource use meanwhile."""
