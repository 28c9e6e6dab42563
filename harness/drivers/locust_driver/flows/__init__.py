"""Flows on Locust's users."""
