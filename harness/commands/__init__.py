"""The commands of `loopmark`: the only room that prints and sets exit codes."""
