"""Driver processes: read a load job, drive it, write samples and a report."""
