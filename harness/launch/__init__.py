"""What a run starts: targets, the database behind them, and whatever keeps and ends processes."""
