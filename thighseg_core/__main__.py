"""`python -m thighseg_core`."""

import sys

from thighseg_core.cli import main

if __name__ == "__main__":
    sys.exit(main())
