"""Where the extensions lie, below ``/api``."""

from typing import Final

EXTENSIONS: Final = "/backup_engine"
EXTENSION_BACKUPS: Final = EXTENSIONS + "/backups"
EXTENSION_RESTORES: Final = EXTENSIONS + "/restores"
EXTENSION_HOSTS: Final = EXTENSIONS + "/hosts"
