"""A file of credentials for S3, as the AWS tools read it. Movers load this, and no obstore."""

import configparser
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final

from backup_engine.archive.errors import StorageError

if TYPE_CHECKING:  # obstore has it for type checkers only
    from obstore.store import S3Credential

_REREAD: Final = timedelta(minutes=5)


class CredentialsFile:
    """Reads an AWS credentials file whenever obstore asks; messages never show what is in it."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def __call__(self) -> "S3Credential":
        """Return what the file holds now, to be asked for again soon; raises StorageError."""
        parser = configparser.ConfigParser(interpolation=None, default_section="")
        try:
            parser.read_string(self._file.read_text(encoding="utf-8"))
            profile = parser["default"]
            return {
                "access_key_id": profile["aws_access_key_id"],
                "secret_access_key": profile["aws_secret_access_key"],
                "token": profile.get("aws_session_token"),
                "expires_at": datetime.now(UTC) + _REREAD,
            }
        except OSError as trouble:
            raise self._unusable(trouble.strerror or "cannot be read") from trouble
        except (configparser.Error, KeyError, UnicodeDecodeError):
            # the cause is left out on purpose: a parser's message shows the line
            raise self._unusable("is not as expected") from None

    def _unusable(self, what: str) -> StorageError:
        return StorageError(
            "CredentialsUnreadable",
            f"credentials file {self._file}: {what}; expected a section [default] with"
            " aws_access_key_id and aws_secret_access_key",
        )
