"""The command line: `python -m cxr`, and `cxr` where the package is installed."""

from cxr.cli.app import main

__all__ = ["main"]

if __name__ == "__main__":
    main()
