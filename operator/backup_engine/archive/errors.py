"""What can go wrong with an archive; ``reason`` is the word that code branches on, never the text.

ArchiveError
├── StorageError            the place where archives lie failed
│   ├── ArchiveExistsError  the name is taken
│   └── ArchiveMissingError no archive of that name
├── ArchiveFormatError      the archive is whole perhaps, but not one that this version can read
└── ArchiveDamagedError     bytes are missing, changed or contradict one another
"""


class ArchiveError(Exception):
    """Trouble with one archive or with the store that holds it.

    ``reason`` is a stable CamelCase word; the text names the archive, what is wrong and what to do.
    """

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message


class StorageError(ArchiveError):
    """The store could not be read or written: disk full, no permission, no network."""


class ArchiveExistsError(StorageError):
    """An archive of this name exists; archives are written once and never replaced."""

    def __init__(self, location: str) -> None:
        super().__init__(
            "ArchiveExists",
            f"{location} exists already and archives are never overwritten; choose another name",
        )


class ArchiveMissingError(StorageError):
    """No archive of this name is in the store."""

    def __init__(self, location: str) -> None:
        super().__init__(
            "ArchiveMissing", f"{location} does not exist; it was moved, removed or never finished"
        )


class ArchiveFormatError(ArchiveError):
    """The archive needs something this version does not know: a codec, a newer major version."""


class ArchiveDamagedError(ArchiveError):
    """The archive contradicts its own manifest, or is cut short."""
