"""Loopmark: what async buys a Python web service, measured."""
