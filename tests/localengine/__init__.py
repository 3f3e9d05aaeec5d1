"""The engine's parts composed inside a test's process, on a real database and archive store."""

from localengine.engine import (
    BACKUPS,
    DEPLOY,
    DEPLOYED,
    PRODUCT,
    STAGED,
    TOKEN,
    LocalEngine,
    local_engine,
)

__all__ = [
    "BACKUPS",
    "DEPLOY",
    "DEPLOYED",
    "PRODUCT",
    "STAGED",
    "TOKEN",
    "LocalEngine",
    "local_engine",
]
