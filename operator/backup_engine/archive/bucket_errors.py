"""What a bucket's refusals mean, and what to do about each. Pure.

Nothing of an answer's body is repeated but its error code: bodies may hold key ids and signatures,
and URLs with a query may be signed.
"""

import re
from typing import Final
from urllib.parse import urlsplit

from obstore.exceptions import PermissionDeniedError, UnauthenticatedError

from backup_engine.archive.errors import StorageError

DENIED: Final = frozenset({401, 403})
FULL: Final = 507
SERVER_ERROR: Final = 500
UNREACHABLE: Final = "StorageUnreachable"
SERVED: Final = "file://, s3://, gs:// and az://"

_STATUS: Final = re.compile(r"status code: (\d{3}(?: [A-Za-z]+){0,3})")
_CODE: Final = re.compile(r"<Code>(\w{1,64})</Code>")
_ADDRESS: Final = re.compile(r"(https?://)(?:[^/@\s]*@)?([^/@\s?\"]+)")
_CAUSE: Final = re.compile(r"HTTP error: ([a-z ]{1,80})")
_GENERIC: Final = re.compile(r"^Generic \w+ error: ")
_GONE: Final = frozenset({"NoSuchBucket", "ContainerNotFound"})
_IDENTITY_SERVERS: Final = ("169.254.", "metadata.google.internal", "//sts.", "//login.")
_CREDENTIALS: Final = {
    "s3": "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
    "gs": "GOOGLE_SERVICE_ACCOUNT",
    "az": "AZURE_STORAGE_ACCOUNT_NAME and AZURE_STORAGE_ACCOUNT_KEY",
}
_ENDPOINT: Final = {"s3": "AWS_ENDPOINT_URL", "az": "AZURE_STORAGE_ENDPOINT"}


def is_bucket_missing(trouble: Exception) -> bool:
    """Tell whether an answer says that the bucket, not just the object, is not there."""
    code = _CODE.search(str(trouble))
    return code is not None and code[1] in _GONE


def explain_bucket_error(location: str, trouble: Exception) -> StorageError:
    """Build our error from obstore's, about ``location``, a URL.

    Reasons: BucketMissing, StorageDenied, StorageUnreachable, StorageFull, StorageFailed.
    """
    if is_bucket_missing(trouble):
        return StorageError(
            "BucketMissing", f"{location}: there is no such bucket; it was removed or misspelt"
        )
    text = str(trouble)
    found, code = _STATUS.search(text), _CODE.search(text)
    status = int(found[1][:3]) if found else 0
    said = (f"status {found[1]}" if found else "") + (f", {code[1]}" if code else "")
    is_refused = isinstance(trouble, PermissionDeniedError | UnauthenticatedError)
    is_denied = is_refused or status in DENIED
    address = _find_address(text)
    if any(server in address for server in _IDENTITY_SERVERS):
        reason = "StorageDenied" if is_denied else UNREACHABLE
        return StorageError(reason, _explain_identity(location, address, said))
    if is_denied:
        return StorageError(
            "StorageDenied",
            f"{location}: refused{_brackets(said)}; check the credentials and what they may do"
            f" ({_name_credentials(location)}, or a credentials file)",
        )
    if status == FULL:
        return StorageError("StorageFull", f"{location}: {said}; free some space")
    if isinstance(trouble, TimeoutError) or status >= SERVER_ERROR or "HTTP error" in text:
        return StorageError(
            UNREACHABLE, f"{location}: {_explain_silence(location, address, said, text)}"
        )
    return StorageError("StorageFailed", f"{location}: {said or _first_line(text)}")


def explain_unknown_store(url: str, refusal: Exception) -> StorageError:
    """Build our error for a URL from which obstore makes no store."""
    said = _first_line(str(refusal))
    scheme = urlsplit(url).scheme
    if "recogni" in said or scheme not in _CREDENTIALS:
        said = f"expected {SERVED}"
    elif scheme in said.lower() or "must be specified" in said:
        said = f"{said}; set {_name_credentials(url)}"
    return StorageError("StoreUnknown", f"archive URL {url!r}: {said}")


def _explain_identity(location: str, address: str, said: str) -> str:
    return (
        f"{location}: no credentials: set {_name_credentials(location)}, or name a credentials"
        f" file; workload identity, asked for at {address}, gave none{_brackets(said)}"
    )


def _explain_silence(location: str, address: str, said: str, text: str) -> str:
    cause = _CAUSE.search(text)
    if cause is not None and cause[1].startswith("builder error") and "http://" in address:
        return f"{address}: plain HTTP is refused; use https, or set AWS_ALLOW_HTTP=true"
    what = said or (cause[1].strip() if cause is not None else "") or "no answer in time"
    endpoint = _ENDPOINT.get(urlsplit(location).scheme)
    where = f"the endpoint ({endpoint})" if endpoint else "the endpoint"
    return f"{address or 'the bucket'} does not answer: {what}; check {where} and the network"


def _find_address(text: str) -> str:
    found = _ADDRESS.search(text)
    return found[1] + found[2] if found else ""


def _name_credentials(location: str) -> str:
    return _CREDENTIALS.get(urlsplit(location).scheme, "the environment's credentials")


def _brackets(said: str) -> str:
    return f" ({said})" if said else ""


def _first_line(text: str) -> str:
    return _GENERIC.sub("", text.partition("\n")[0].partition("<")[0]).strip().rstrip(":")
