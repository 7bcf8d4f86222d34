"""The session manager: connection pool, the attempt, the retry loop."""
