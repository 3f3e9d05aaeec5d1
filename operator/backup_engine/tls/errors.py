"""What can go wrong with certificates."""

from backup_engine.errors import EngineError


class TlsError(EngineError):
    """A certificate or key that cannot be used."""
