"""Why a recipe did not reach its end; refusals of single requests are BackupApiErrors.

RecipeError
├── NotInTimeError
├── DeployFailedError
├── NotInForceError
├── NameInUseError
├── BackupFailedError
├── BackupGoneError
├── NotUsableError
├── NotRestorableError
├── RestoreInTheWayError
├── RestoreGoneError
└── CredentialsWantedError
"""


class RecipeError(Exception):
    """Base of everything a recipe raises of its own."""


class NotInTimeError(RecipeError):
    """What was waited for did not happen within the limit; it may still happen."""


class DeployFailedError(RecipeError):
    """The deploy ended, but not well on every host."""


class NotInForceError(RecipeError):
    """After the deploy the deployed configuration is not the one that was asked for."""


class NameInUseError(RecipeError):
    """Another backup has the name."""


class BackupFailedError(RecipeError):
    """The backup ended FAILED."""


class BackupGoneError(RecipeError):
    """Somebody cancelled or deleted the backup, or its archive went, before it was over."""


class NotUsableError(RecipeError):
    """The backup ended in SUCCESS, and yet its archive cannot be restored here (spec §9)."""


class NotRestorableError(RecipeError):
    """The backup cannot be restored (spec §4.2)."""


class RestoreInTheWayError(RecipeError):
    """Another restore is open, and only one may be (spec §4.0)."""


class RestoreGoneError(RecipeError):
    """The record of the restore was deleted; what became of the restore is not known."""


class CredentialsWantedError(RecipeError):
    """The server lastingly knows the credentials no more: a restore replaced them (spec §9).

    It does not mean that the restore failed: ask again with new credentials.
    """
