"""`python -m loopmark`."""

from loopmark.harness.cli import main

main()
