"""How the engine's environment variables begin."""

from typing import Final

PREFIX: Final = "BACKUP_ENGINE_"
