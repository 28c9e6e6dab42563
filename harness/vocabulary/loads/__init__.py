"""The load models, one file each: what a plan says, and what the rest asks of them."""
