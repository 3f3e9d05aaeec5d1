"""What a refusal of POST /backups means to the user who wrote the manifest (spec §3.2)."""

from typing import Final

from backup_api.errors import CreateBackupErrors, EndpointErrors
from backup_operator.decisions.facts import Refusal
from backup_operator.resources.backup import BackupSpec
from backup_operator.resources.backup_status import Failure

LONGEST_MESSAGE: Final = 1000  # characters

_FIELDS: Final[dict[EndpointErrors, str]] = {
    CreateBackupErrors.NAME_EMPTY: "name",
    CreateBackupErrors.NAME_TOO_LONG: "name",
    CreateBackupErrors.NAME_CHARACTERS: "name",
    CreateBackupErrors.NAME_TAKEN: "name",
    CreateBackupErrors.CONFIGURATION_MISSING: "configurationId",
    CreateBackupErrors.CONFIGURATION_UNKNOWN: "configurationId",
    CreateBackupErrors.DESCRIPTION_TOO_LONG: "description",
    CreateBackupErrors.HOST_UNKNOWN: "hostId",
    CreateBackupErrors.HOST_NOT_ACTIVE: "hostId",
    CreateBackupErrors.NOT_THE_CONSOLE: "hostId",
    CreateBackupErrors.NO_DATA_ON_HOST: "hostId",
    CreateBackupErrors.HOST_NOT_ENABLED: "hostId",
}


def cut(text: str, longest: int = LONGEST_MESSAGE) -> str:
    """Shorten ``text`` so that a status never grows with what a server chooses to say."""
    return text if len(text) <= longest else f"{text[: longest - 1]}…"


def refusal_reason(row: EndpointErrors | None) -> str:
    """Return the stable word for a refusal: HOST_BUSY is ``HostBusy``, an unlisted ``Refused``."""
    if row is None:
        return "Refused"
    if row is CreateBackupErrors.NAME_TAKEN:
        return "NameInUse"
    return "".join(word.capitalize() for word in row.name.split("_"))


def describe_refusal(refusal: Refusal, wanted: BackupSpec) -> str:
    """Say which field was refused and why, with the code for whoever reads the API reference."""
    words = refusal.row.description if refusal.row is not None else ""
    field = _FIELDS.get(refusal.row) if refusal.row is not None else None
    if field == "hostId" and wanted.hostname is not None:
        field = "hostname"
    said = f"HTTP {refusal.http_status}, code {refusal.code}: {refusal.message}".rstrip(": ")
    opening = f"spec.{field}: " if field is not None else ""
    return cut(f"{opening}{words or 'The engine refused the request.'} ({said})")


def build_failure(refusal: Refusal, wanted: BackupSpec) -> Failure:
    """Build the failure that a final refusal leaves in the status."""
    return Failure(
        http_status=refusal.http_status,
        code=refusal.code,
        reason=refusal_reason(refusal.row),
        message=describe_refusal(refusal, wanted),
    )
