"""A user's own locustfile: looked at, and driven as it is."""
