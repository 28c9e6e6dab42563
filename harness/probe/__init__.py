"""What runs inside a probed target: standard library only, in the target's own Python.

It is put in place by `start/sitecustomize.py`, which Python imports at its start, and does nothing
until an ASGI application is loaded. The rest of Loopmark need not be installed there.
"""
