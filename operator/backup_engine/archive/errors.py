"""What can go wrong with an archive; ``reason`` is the word that code branches on, never the text.

ArchiveError
├── StorageError            the place where archives lie failed
│   ├── ArchiveExistsError  the name is taken
│   └── ArchiveMissingError no archive of that name
├── ArchiveFormatError      the archive is whole perhaps, but not one that this version can read
├── ArchiveDamagedError     bytes are missing, changed or contradict one another
├── ArchiveLockedError      the archive is encrypted, and no key that is held opens it
├── ArchiveUntrustedError   the signature is missing or not one that is trusted
├── KeyFileError            a file with keys for encryption, or a key in it, cannot be used
└── SigningError            the keys that sign archives, or the truststore, cannot be used
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
        self.location = location


class ArchiveFormatError(ArchiveError):
    """The archive needs something this version does not know: a codec, a newer major version."""


class ArchiveDamagedError(ArchiveError):
    """The archive contradicts its own manifest, or is cut short."""


class ArchiveLockedError(ArchiveError):
    """The archive is encrypted, and no key is held (IdentityMissing) or none fits."""


class ArchiveUntrustedError(ArchiveError):
    """The archive is not signed although it must be, or the signature does not count."""


class KeyFileError(ArchiveError):
    """A key for encryption cannot be used; the text never shows a private one."""

    def __init__(self, message: str) -> None:
        super().__init__("KeyUnusable", message)


class SigningError(ArchiveError):
    """The signing directory cannot be used; the text never shows a private key."""
