"""What becomes of a request, as a row in a file: samples, their times and their batches."""
