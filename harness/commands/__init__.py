"""The commands of `loopmark`: the only package that prints and sets exit codes."""
