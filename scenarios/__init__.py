"""What virtual users do and which answers they must get. No I/O."""
