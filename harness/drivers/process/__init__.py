"""What a driver process is: one job after the other, told line by line."""
