"""`python -m thighseg_core`."""

import gc
import sys

if __name__ == "__main__":
    # Half a million objects come with torch, none of them rubbish: searching them at start and end takes half a second.
    gc.set_threshold(100_000)
    from thighseg_core.cli import main

    status = main()
    gc.freeze()
    sys.exit(status)
