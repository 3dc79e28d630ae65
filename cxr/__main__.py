"""`python -m cxr`."""

from cxr.cli.app import main

main()
