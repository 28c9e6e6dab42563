"""Runnable ASGI applications: what Loopmark measures."""
