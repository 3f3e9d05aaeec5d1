"""How a bucket is reached: its URL, credentials and patience."""

from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from obstore.exceptions import BaseError
from obstore.store import ObjectStore, from_url

from backup_engine.archive.bucket_errors import explain_unknown_store
from backup_engine.archive.credentials_file import CredentialsFile
from backup_engine.archive.errors import StorageError

if TYPE_CHECKING:  # obstore has these for type checkers only
    from obstore.store import RetryConfig, S3Config

RETRY_S: Final = 120.0

_FIRST_PAUSE: Final = timedelta(milliseconds=200)
_LONGEST_PAUSE: Final = timedelta(seconds=5)
_SILENT_SCHEMES: Final = frozenset({"memory"})  # no network, so neither patience nor credentials


@dataclass(frozen=True, slots=True)
class BucketAccess:
    """Credentials and patience.

    Without ``credentials_file`` the vendor's environment variables (AWS_…, GOOGLE_…, AZURE_…) and
    workload identity count. With it: for ``s3://`` a file as the AWS tools read it, profile
    ``[default]``, read again every few minutes; for ``gs://`` a service account's JSON.

    A call is tried again on 5xx, a lost connection or 30 s of silence, within ``retry_s`` seconds
    in all; of an upload only the piece that failed is sent again. The time decides, not the number
    of ``retries``: ten of them can be over within 4 s, sooner than a server restarts.
    """

    credentials_file: Path | None = None
    retry_s: float = RETRY_S
    retries: int = 10_000


def open_bucket(url: str, access: BucketAccess) -> ObjectStore:
    """Open obstore's view of a bucket, without a request; raises StorageError."""
    parts = urlsplit(url)
    if parts.username is not None or parts.password is not None:
        raise StorageError(  # the URL is not repeated: it holds a secret
            "StoreUnknown",
            "archive URL: credentials do not belong into it; use the environment or a file",
        )
    try:
        if parts.scheme in _SILENT_SCHEMES:
            return from_url(url)
        return _open(url, parts.scheme, access)
    except (BaseError, ValueError) as refusal:
        raise explain_unknown_store(url, refusal) from refusal


def _open(url: str, scheme: str, access: BucketAccess) -> ObjectStore:
    # no client_options: given any, obstore forgets those of the environment (AWS_ALLOW_HTTP, …)
    retry: RetryConfig = {
        "backoff": {"init_backoff": _FIRST_PAUSE, "max_backoff": _LONGEST_PAUSE, "base": 3},
        "max_retries": access.retries,
        "retry_timeout": timedelta(seconds=access.retry_s),
    }
    file = access.credentials_file
    if scheme in {"s3", "s3a"}:
        # the server compares it with what arrived, and keeps it with the object
        checked: S3Config = {"checksum_algorithm": "SHA256"}
        if file is None:
            return from_url(url, config=checked, retry_config=retry)
        provider = CredentialsFile(file)
        provider()  # a file that cannot be used shall be told now
        return from_url(url, config=checked, retry_config=retry, credential_provider=provider)
    if file is None:
        return from_url(url, retry_config=retry)
    if scheme == "gs":
        return from_url(url, retry_config=retry, service_account=str(file))
    raise StorageError(
        "StoreUnknown", f"archive URL {url!r}: a credentials file serves s3:// and gs:// only"
    )
