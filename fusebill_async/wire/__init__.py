"""Pure: build a request, read an answer, parse the quota headers, redact."""
