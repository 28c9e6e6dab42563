"""What virtual users do, and the answers they expect. No I/O."""
