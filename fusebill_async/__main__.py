"""`python -m fusebill_async` is `fusebill-async`."""

import sys

from fusebill_async.cli import main

if __name__ == "__main__":
    sys.exit(main())
