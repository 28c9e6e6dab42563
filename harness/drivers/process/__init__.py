"""Driver processes: they run jobs one after another, read line by line."""
