"""What to do with an unknown outcome: read, compare with the goal, decide."""
