"""Records requests as rows in a file: samples, their times and their batches."""
