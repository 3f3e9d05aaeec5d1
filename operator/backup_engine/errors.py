"""What the engine's operator can mend, and what a client is told.

EngineError
├── UsageError          settings.py
├── DataDirectoryError  data_directory.py
├── DatabaseError       records/database.py
├── ListenError         serving.py
├── TlsError            tls.py
├── TokenFileError      auth/sec_tokens.py
├── UsersFileError      auth/passwords.py
└── PasswordError       auth/passwords.py
RefusalError
"""

from backup_api.errors import EndpointErrors


class EngineError(Exception):
    """Trouble that its text explains: what is wrong, and what to do. Ends the program with 3."""


class RefusalError(Exception):
    """A request is refused with ``row`` of its endpoint's code table (spec §2.11)."""

    def __init__(self, row: EndpointErrors, message: str) -> None:
        super().__init__(message)
        self.row = row
        self.message = message
