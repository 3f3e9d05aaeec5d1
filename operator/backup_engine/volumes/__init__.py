"""Volumes in, kopia snapshots out: where the bytes of DATA backups go (architecture §3)."""
