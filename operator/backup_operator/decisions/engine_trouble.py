"""What a failed request tells about an engine, for the status of the BackupEngine."""

import ssl
from typing import Final

from backup_api.errors import TRANSIENT_STATUSES, FrameworkErrors
from backup_api.exceptions import (
    BackupApiError,
    MalformedAnswerError,
    NotSentError,
    RefusedError,
)
from backup_operator.decisions.facts import Trouble
from backup_operator.decisions.refusals import cut, refusal_reason

UNAUTHORIZED: Final = 401
FORBIDDEN: Final = 403
SERVER_ERROR: Final = 500
LONGEST_CAUSE: Final = 400


def is_silence(trouble: BackupApiError) -> bool:
    """Tell whether the failure counts as the engine being away (spec §2.11)."""
    if isinstance(trouble, RefusedError):
        return trouble.http_status in TRANSIENT_STATUSES
    return True


def needs_new_access(trouble: BackupApiError) -> bool:
    """Tell whether credentials or version must be settled anew before the next request."""
    return isinstance(trouble, RefusedError) and (
        trouble.http_status == UNAUTHORIZED or trouble.row is FrameworkErrors.WRONG_VERSION
    )


def may_be_repeated(trouble: RefusedError) -> bool:
    """Tell whether the same request may be taken once server, credentials or rights are mended."""
    is_forbidden = trouble.http_status == FORBIDDEN
    return trouble.http_status >= SERVER_ERROR or is_forbidden or needs_new_access(trouble)


def explain_trouble(trouble: BackupApiError, url: str) -> Trouble:
    """Say why an engine cannot be used, and what to do about it."""
    said = cut(trouble.message.removeprefix(f"no connection to {url}: "), LONGEST_CAUSE)
    match trouble:
        case NotSentError() if _is_distrust(trouble):
            return Trouble(
                "CertificateNotTrusted",
                f"The certificate of {url} is not trusted: {said}. Give its authority in"
                " spec.tls.caSecretRef or caBundle, and its name in serverName if it differs.",
                needs_people=True,
            )
        case MalformedAnswerError():
            return Trouble(
                "UnexpectedAnswer",
                f"{url} does not answer as a backup API: {said}. Check spec.url, and what stands"
                " between; it is asked again by itself.",
            )
        case RefusedError(http_status=status) if status == UNAUTHORIZED:
            return Trouble(
                "Unauthorized",
                f"{url} does not accept the credentials ({said}); check the Secret that spec.auth"
                " names. A corrected Secret is picked up by itself.",
                needs_people=True,
            )
        case RefusedError(http_status=status) if status == FORBIDDEN:
            return Trouble(
                "Forbidden",
                f"The credentials lack a capability at {url} ({said}); grant it to the token.",
                needs_people=True,
            )
        case RefusedError(row=FrameworkErrors.WRONG_VERSION):
            return Trouble(
                "VersionRefused",
                f"{url} refuses the API version ({said}); remove or correct spec.apiVersion.",
                needs_people=True,
            )
        case RefusedError(http_status=status) if status < SERVER_ERROR:
            return Trouble("Refused", f"{url} refuses the probe: {said}", needs_people=True)
        case RefusedError():
            return Trouble(
                "EngineUnwell",
                f"{url} reports an error of its own: {said}. Its log says more; it is asked again"
                " by itself.",
            )
        case _:
            return Trouble(
                "EngineUnreachable",
                f"{url} does not answer: {said}. Check spec.url, the network and the engine; it is"
                " asked again by itself.",
            )


def explain_refused_step(trouble: RefusedError, engine: str) -> Trouble:
    """Say why an engine refuses a step of an object, although it can be used otherwise."""
    said = cut(trouble.message, LONGEST_CAUSE)
    if trouble.http_status >= SERVER_ERROR:
        return Trouble(
            "EngineUnwell",
            f"BackupEngine {engine} failed at {trouble.endpoint} ({said}); its log says more. It is"
            " asked again by itself.",
        )
    asked = f"BackupEngine {engine} refuses {trouble.endpoint} ({said})"
    if trouble.http_status == FORBIDDEN:
        return Trouble(
            "Forbidden",
            f"{asked}: the operator's credentials lack a capability. Grant it at the engine to the"
            " token or user; in a cluster to the operator's ServiceAccount, as manifests/restore"
            " does. It is asked again by itself.",
            needs_people=True,
        )
    return Trouble(
        refusal_reason(trouble.row), f"{asked}. It is asked again by itself.", needs_people=True
    )


def _is_distrust(trouble: BaseException) -> bool:
    cause: BaseException | None = trouble
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return True
        cause = cause.__cause__ or cause.__context__
    return False
