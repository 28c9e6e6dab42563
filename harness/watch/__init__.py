"""What is read of targets and their database from outside, while they are driven."""
