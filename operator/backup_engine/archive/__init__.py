"""The CONFIG archive: form, writing, storing, reading, checking (docs/archive-format.md)."""
