"""Why a volume, or the repository of its host, could not be worked on."""


class VolumeError(Exception):
    """A volume could not be backed up or restored, or nothing could be done with its repository.

    ``reason`` is a stable CamelCase word (EmptyVolume, UnreadableFiles, RepositoryMissing); the
    text names the volume or place, what was found and what to do. It never holds a secret.
    """

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message


class RepositoryUnreachableError(VolumeError):
    """The repository cannot be read now: it says nothing about what is in it."""
