"""kopf glue: what the watches see goes to a sink, and nothing is decided here (ADR 2)."""
