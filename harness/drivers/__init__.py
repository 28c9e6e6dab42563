"""Driver processes: they read a load job, drive it, and write samples and a report."""
