"""`python -m armillary` is the command `armillary`."""

from armillary.cli.main import main

if __name__ == "__main__":
    raise SystemExit(main())
