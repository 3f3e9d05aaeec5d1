"""Restore: what an archive holds, planned against and applied to a live cluster."""
