"""`python -m fusebill_async.cli`."""

import sys

from fusebill_async.cli import main

sys.exit(main())
