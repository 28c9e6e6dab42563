"""A user's own locustfile: inspected, and driven unchanged."""
