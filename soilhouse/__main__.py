"""`python -m soilhouse`."""

import sys

from soilhouse.cli import main

sys.exit(main())
