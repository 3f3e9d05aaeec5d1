"""What a bucket's refusals are told as; the texts are those that obstore gave."""

import pytest
from obstore.exceptions import GenericError, PermissionDeniedError

from backup_engine.archive.bucket_errors import explain_bucket_error, explain_unknown_store

LOCATION = "s3://box/archives/x.tar"
KEY = "AKIASECRET"
LISTING = "Generic S3 error: Error performing list request: Error performing GET"
REFUSED = "in 2ms - Server returned non-2xx status code: 403 Forbidden"


@pytest.mark.parametrize(
    ("text", "reason", "told"),
    [
        (
            (
                f"Generic S3 error: Error performing PUT http://169.254.169.254/latest/api/token"
                f" {REFUSED}: denied by {KEY}"
            ),
            "StorageDenied",
            (
                "no credentials: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or name a"
                " credentials file; workload identity, asked for at http://169.254.169.254, gave"
                " none (status 403 Forbidden)"
            ),
        ),
        (
            (
                f"{LISTING} http://s3.test/box?prefix=a&X-Amz-Credential={KEY} {REFUSED}:"
                f"\n<Error><Code>SignatureDoesNotMatch</Code><Key>{KEY}</Key></Error>"
            ),
            "StorageDenied",
            (
                "refused (status 403 Forbidden, SignatureDoesNotMatch); check the credentials and"
                " what they may do (AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or a credentials"
                " file)"
            ),
        ),
        (
            (
                f"{LISTING} http://me:{KEY}@127.0.0.1:9/box?delimiter=%2F in 20s, after 9 retries"
                " - HTTP error: error sending request"
            ),
            "StorageUnreachable",
            (
                "http://127.0.0.1:9 does not answer: error sending request; check the endpoint"
                " (AWS_ENDPOINT_URL) and the network"
            ),
        ),
        (
            f"{LISTING} http://127.0.0.1:9/box?delimiter=%2F in 40us - HTTP error: builder error",
            "StorageUnreachable",
            "http://127.0.0.1:9: plain HTTP is refused; use https, or set AWS_ALLOW_HTTP=true",
        ),
        (
            (
                f"{LISTING} https://s3.test/box in 2ms - Server returned error response: 404 Not"
                " Found: <Error><Code>NoSuchBucket</Code></Error>"
            ),
            "BucketMissing",
            "there is no such bucket; it was removed or misspelt",
        ),
        ("Generic S3 error: whatever\nmore of it", "StorageFailed", "whatever"),
    ],
)
def test_a_refusal_is_told_with_what_to_do_and_without_what_is_secret(
    text: str, reason: str, told: str
) -> None:
    error = explain_bucket_error(LOCATION, GenericError(text))

    assert (error.reason, error.message) == (reason, f"{LOCATION}: {told}")
    assert KEY not in error.message


def test_silence_and_refusals_without_a_status_are_told_apart() -> None:
    silent = explain_bucket_error("gs://box/x.tar", TimeoutError())
    denied = explain_bucket_error(LOCATION, PermissionDeniedError("no"))

    assert silent.message.startswith("gs://box/x.tar: the bucket does not answer: no answer in")
    assert (silent.reason, denied.reason) == ("StorageUnreachable", "StorageDenied")


@pytest.mark.parametrize(
    ("url", "text", "told"),
    [
        ("foo://x", 'Generic URL error: Unable to recognise URL "foo://x"', "expected file://, s3"),
        (
            "az://x",
            "Generic MicrosoftAzure error: Account must be specified",
            "Account must be specified; set AZURE_STORAGE_ACCOUNT_NAME and",
        ),
    ],
)
def test_a_url_that_opens_no_store_is_told_with_what_would(url: str, text: str, told: str) -> None:
    error = explain_unknown_store(url, GenericError(text))

    assert error.message.startswith(f"archive URL {url!r}: {told}")
