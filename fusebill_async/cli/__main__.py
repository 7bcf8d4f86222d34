"""`python -m fusebill_async.cli` is `fusebill-async`, too."""

import sys

from fusebill_async.cli import main

if __name__ == "__main__":
    sys.exit(main())
