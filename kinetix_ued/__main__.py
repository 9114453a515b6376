"""``python -m kinetix_ued`` is the command ``kinetix-ued``."""

import sys

from .cli import main

if __name__ == "__main__":
    sys.exit(main())
