"""``python -m acestep`` (and so ``accelerate launch -m acestep train …``) is the command line."""

import sys

from acestep.cli import main

if __name__ == "__main__":
    sys.exit(main())
