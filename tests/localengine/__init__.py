"""The engine's parts composed inside a test's process, on a real database and archive store."""

from localengine.engine import BACKUPS, PRODUCT, TOKEN, LocalEngine, local_engine

__all__ = ["BACKUPS", "PRODUCT", "TOKEN", "LocalEngine", "local_engine"]
