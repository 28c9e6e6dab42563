"""The load models, one file each: their fields in a plan, and their traits."""
