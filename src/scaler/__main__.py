"""`python -m scaler`."""

import sys

from scaler.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
