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

_ADVICE: Final[dict[EndpointErrors, str]] = {
    CreateBackupErrors.NAME_EMPTY: "Create a Backup with a name, or leave spec.name out.",
    CreateBackupErrors.NAME_TOO_LONG: "Create a Backup with a shorter name, or leave it out.",
    CreateBackupErrors.NAME_CHARACTERS: (
        "Create a Backup whose name has only letters, digits, '_', '-' and '.', or leave it out."
    ),
    CreateBackupErrors.NAME_TAKEN: "Create a Backup with another name, or leave spec.name out.",
    CreateBackupErrors.CONFIGURATION_MISSING: "Create a Backup with configurationId 1.",
    CreateBackupErrors.CONFIGURATION_UNKNOWN: (
        "Create a Backup with the id of a deployed configuration; an appliance has only 1."
    ),
    CreateBackupErrors.DESCRIPTION_TOO_LONG: "Create a Backup with a shorter description.",
    CreateBackupErrors.HOST_UNKNOWN: (
        "Create a Backup for one of the hosts in the status of the BackupEngine."
    ),
    CreateBackupErrors.HOST_NOT_ACTIVE: (
        "Bring the host back to status Active, then create another Backup."
    ),
    CreateBackupErrors.NOT_THE_CONSOLE: (
        "Create a Backup without hostId and hostname, or with backupType DATA."
    ),
    CreateBackupErrors.NO_DATA_ON_HOST: (
        "Create a Backup for a host that stores event or flow data (in a cluster: volumes)."
    ),
    CreateBackupErrors.HOST_NOT_ENABLED: (
        "Enable the host for data backups in the backup configuration, deploy that, and create"
        " another Backup."
    ),
}
"""What somebody can do about each final refusal; a test proves that none is left out."""

_NO_ADVICE: Final = "Correct what the engine names, and create another Backup."


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


def advise(row: EndpointErrors | None) -> str:
    """Say what to do about a final refusal."""
    return _ADVICE.get(row, _NO_ADVICE) if row is not None else _NO_ADVICE


def describe_refusal(refusal: Refusal, wanted: BackupSpec) -> str:
    """Say which field was refused and why, with the code for whoever reads the API reference."""
    words = refusal.row.description if refusal.row is not None else ""
    field = _FIELDS.get(refusal.row) if refusal.row is not None else None
    if field == "hostId" and wanted.host_id is None:  # by name, or the console for want of one
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
        message=cut(f"{describe_refusal(refusal, wanted)} {advise(refusal.row)}"),
    )
