"""A Backup, an engine and an operator without a cluster, and what may happen to them."""
