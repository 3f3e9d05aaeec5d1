"""Why a capture failed."""


class CaptureError(Exception):
    """The capture ended FAILED and nothing of it is visible.

    ``reason`` is a stable CamelCase word (EmptySource, Forbidden, ClusterUnreachable, StorageFull);
    the text names the kind or place, what was found and what to do.
    """

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message
