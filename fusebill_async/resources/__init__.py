"""The coroutines that a user awaits, a few lines each."""
