"""The `locust` driver: virtual users on gevent and Locust's FastHttpUser.

Only processes that run a module of this package import it: it patches the standard library.
"""

# Locust patches the standard library for gevent when it is imported. That must come before anything
# else of the standard library's sockets and threads is imported, so it is here.
import locust as locust  # isort: skip

import os

import gevent

os.register_at_fork(after_in_child=gevent.reinit)
