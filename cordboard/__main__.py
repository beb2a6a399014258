"""`python -m cordboard` is the command `cordboard`."""

import sys

from cordboard.cli import main

sys.exit(main())
