"""What a list may be asked for: ``filter``, ``sort`` and ``fields`` (spec §2.7 to §2.9)."""
