"""What is known about a Restore in tests of decisions, and a machine that lives through it."""
