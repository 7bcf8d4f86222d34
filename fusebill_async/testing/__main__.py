"""Runs the simulator as a program."""

from fusebill_async.testing.serving import main

if __name__ == "__main__":
    main()
