"""The tables of endpoints and codes, and the tree of exceptions."""

import inspect
from collections import Counter
from types import ModuleType

import pytest

import backup_api
from backup_api import (
    about,
    backups,
    client,
    configurations,
    credentials,
    deploy,
    documentation,
    endpoints,
    errors,
    exceptions,
    exchange,
    filters,
    hosts,
    pacing,
    paging,
    restores,
    servers,
    tunnels,
    versions,
    wire,
)
from backup_api.endpoints import ENDPOINTS, Endpoint
from backup_api.errors import EndpointErrors, ErrorClass, FrameworkErrors
from backup_api.exceptions import BackupApiError
from backup_api.extensions import (
    archive_calls,
    archives,
    engine_calls,
    hook_calls,
    hooks,
    host_calls,
    restore_calls,
    verification,
    verification_calls,
    volume_calls,
    volume_plan_calls,
    volume_plans,
    volume_targets,
    volumes,
)
from backup_api.extensions import engine as extension_engine
from backup_api.extensions import hosts as extension_hosts
from backup_api.extensions import restores as extension_restores
from backup_api.extensions.archives import ARCHIVE_EXTENSION
from backup_api.extensions.engine import DESCRIBE_ENGINE
from backup_api.extensions.hooks import LIST_BACKUP_HOOKS
from backup_api.extensions.hosts import LIST_ENGINE_HOSTS
from backup_api.extensions.restores import RESTORE_EXTENSION
from backup_api.extensions.verification import VERIFICATION_EXTENSION
from backup_api.extensions.volume_plans import PLAN_VOLUME_RESTORE
from backup_api.extensions.volumes import VOLUME_ENDPOINTS
from backup_api.recipes import (
    backing_up,
    configuring,
    deleting,
    deploying,
    restoring,
    start_up,
    waiting,
)
from backup_api.recipes import exceptions as recipe_exceptions
from backup_api.recipes.exceptions import RecipeError

BUSY_OR_DEPLOY = {
    ("POST /backup_and_restore/backups", 1015): ErrorClass.BUSY,
    ("POST /backup_and_restore/backups", 1016): ErrorClass.BUSY,
    ("POST /backup_and_restore/backups", 1011): ErrorClass.DEPLOY,
    ("POST /staged_config/deploy_status", 1002): ErrorClass.BUSY,
    ("POST /staged_config/deploy_status", 1003): ErrorClass.BUSY,
    ("POST /staged_config/deploy_status", 1004): ErrorClass.BUSY,
    ("POST /backup_and_restore/restores", 1011): ErrorClass.BUSY,
    ("POST /backup_and_restore/restores/{id}", 1014): ErrorClass.BUSY,
    ("POST /backup_and_restore/restores/{id}", 1015): ErrorClass.BUSY,
    ("POST /backup_and_restore/restores/{id}", 1016): ErrorClass.BUSY,
    ("GET /backup_engine/restores/{id}/plan/items", 1026): ErrorClass.BUSY,
}

EVERY_ENDPOINT = (
    *ENDPOINTS,
    DESCRIBE_ENGINE,
    LIST_ENGINE_HOSTS,
    *RESTORE_EXTENSION,
    *ARCHIVE_EXTENSION,
    *VERIFICATION_EXTENSION,
    *VOLUME_ENDPOINTS,
    LIST_BACKUP_HOOKS,
    PLAN_VOLUME_RESTORE,
)

WITHOUT_TEXT = {(422, code) for code in (1022, 1023, 1024, 1034, 1035, 1036, 1037)}
"""Codes whose meaning the reference does not publish (spec §13 no. 13)."""


@pytest.mark.parametrize("endpoint", EVERY_ENDPOINT, ids=str)
def test_a_status_and_code_mean_one_thing_on_an_endpoint(endpoint: Endpoint) -> None:
    rows = [*endpoint.refusals, *FrameworkErrors]
    counted = Counter((row.http_status, row.code) for row in rows)

    assert max(counted.values()) == 1
    for row in rows:
        assert endpoint.find_refusal(row.http_status, row.code) is row


@pytest.mark.parametrize("endpoint", EVERY_ENDPOINT, ids=str)
def test_no_two_rows_of_a_table_are_one(endpoint: Endpoint) -> None:
    for table in (endpoint.refusals, FrameworkErrors):
        assert len(table.__members__) == len(list(table))  # equal rows would become aliases


@pytest.mark.parametrize("endpoint", EVERY_ENDPOINT, ids=str)
def test_the_class_of_a_row_follows_the_spec(endpoint: Endpoint) -> None:
    for row in endpoint.refusals:
        by_status = ErrorClass.TRANSIENT if row.http_status >= 500 else ErrorClass.FINAL
        assert row.error_class is BUSY_OR_DEPLOY.get((str(endpoint), row.code), by_status)
        assert row.code >= 1000
        assert row.description or (row.http_status, row.code) in WITHOUT_TEXT


def test_codes_of_the_framework_are_small() -> None:
    for row in FrameworkErrors:
        assert 0 <= row.code < 1000


def test_no_method_and_path_stand_twice() -> None:
    places = {(endpoint.method, endpoint.path) for endpoint in EVERY_ENDPOINT}
    assert len(places) == len(EVERY_ENDPOINT)


def drawn(base: type[BaseException]) -> str:
    """Draw the tree of exceptions below ``base``, in the order of their definition."""

    def lines(parent: type[BaseException], indent: str) -> list[str]:
        children = parent.__subclasses__()
        result = []
        for child in children:
            is_last = child is children[-1]
            result.append(f"{indent}{'└──' if is_last else '├──'} {child.__name__}")
            result += lines(child, indent + ("    " if is_last else "│   "))
        return result

    return "\n".join([base.__name__, *lines(base, "")])


def test_the_trees_of_exceptions_are_as_drawn() -> None:
    assert drawn(BackupApiError) in (exceptions.__doc__ or "")
    assert drawn(RecipeError) in (recipe_exceptions.__doc__ or "")


PUBLIC: dict[ModuleType, set[str]] = {
    about: {"ApiVersion", "SystemAbout"},
    backups: {
        "AppDeploymentLocation",
        "BackupRecord",
        "BackupType",
        "ChangeBackup",
        "CreateBackup",
        "RecordStatus",
    },
    client: {"BackupApiClient"},
    credentials: {"BasicCredentials", "BearerToken", "Credentials", "SecToken", "Trust"},
    deploy: {"DeployHost", "DeployStatus", "DeployType", "StartDeploy"},
    endpoints: {"Endpoint"},
    errors: {
        "AboutErrors",
        "ChangeBackupErrors",
        "CreateBackupErrors",
        "DeleteBackupErrors",
        "EndpointErrors",
        "ErrorBody",
        "ErrorClass",
        "FrameworkErrors",
        "GetBackupErrors",
        "GetDeployErrors",
        "GetHostErrors",
        "GetVersionErrors",
        "HttpResponse",
        "ListBackupsErrors",
        "ListHostsErrors",
        "ListVersionsErrors",
        "StartDeployErrors",
    },
    configurations: {
        "BackupConfigurationRecord",
        "BackupPriority",
        "ChangeConfiguration",
        "ChangeConfigurationErrors",
        "ChangeDataBackupHost",
        "DataBackupHost",
        "GetConfigurationErrors",
        "ListConfigurationsErrors",
    },
    documentation: {
        "EndpointDescription",
        "GetDescriptionErrors",
        "ListDescriptionsErrors",
        "ParameterDescription",
        "ParameterMimeType",
        "ParameterPlace",
        "RefusalDescription",
        "ResourceDescription",
        "ResponseMimeType",
        "SuccessDescription",
    },
    restores: {
        "CreateRestore",
        "CreateRestoreErrors",
        "DeleteRestoreErrors",
        "GetRestoreErrors",
        "InternalOperationErrors",
        "LaunchRestore",
        "LaunchRestoreErrors",
        "ListRestoresErrors",
        "RestoreGroup",
        "RestoreRecord",
        "RestoreStatus",
    },
    configuring: {"build_change", "change_configuration", "list_differences"},
    deleting: {"delete_backup"},
    backing_up: {
        "CreateStep",
        "back_up",
        "decide_after_trouble",
        "find_data_obstacle",
        "find_flaw",
    },
    deploying: {"DeployStep", "decide_after_trouble", "deploy", "find_failure"},
    recipe_exceptions: {
        "BackupFailedError",
        "BackupGoneError",
        "CredentialsWantedError",
        "DeployFailedError",
        "NameInUseError",
        "NotInForceError",
        "NotInTimeError",
        "NotRestorableError",
        "NotUsableError",
        "RecipeError",
        "RestoreGoneError",
        "RestoreInTheWayError",
    },
    restoring: {
        "Look",
        "RestoreWish",
        "Way",
        "decide_way",
        "find_latest",
        "find_obstacle",
        "follow",
        "judge",
        "launch",
        "prepare",
        "restore",
    },
    start_up: {"Probe", "options_from", "probe"},
    waiting: {"Waiting", "is_passing"},
    servers: {"GetServerErrors", "ListServersErrors", "ServerRecord"},
    tunnels: {"ChangeTunnel", "ChangeTunnelErrors", "ListTunnelsErrors", "TunnelRecord"},
    engine_calls: {"EngineCalls"},
    extension_engine: {"DescribeEngineErrors", "EngineDescription"},
    host_calls: {"EngineHostCalls"},
    extension_hosts: {
        "EngineHostRecord",
        "EngineHostType",
        "ListEngineHostsErrors",
    },
    restore_calls: {"EngineRestoreCalls"},
    extension_restores: {
        "ActionCounts",
        "ChangePlanErrors",
        "ExistingObjects",
        "ListPlanItemsErrors",
        "PlanAction",
        "PlanItem",
        "PlanState",
        "PlannedChange",
        "ReadRestoreExtensionErrors",
        "RestoreFailure",
        "RestoreOptions",
        "RestorePlan",
        "RestoreProgress",
        "RestoreRule",
        "SetRestoreOptionsErrors",
    },
    exchange: {
        "Answer",
        "ClientOptions",
        "Exchange",
        "NoWatch",
        "RequestWatch",
        "find_server_time",
    },
    exceptions: {
        "BackupApiError",
        "LostAnswerError",
        "MalformedAnswerError",
        "NotSentError",
        "RefusedError",
    },
    filters: {"id_in", "key_is", "name_is", "quoted", "status_in"},
    hosts: {
        "Appliance",
        "ChangeAllocation",
        "ChangeAllocationErrors",
        "GetStagedHostErrors",
        "HostRecord",
        "HostStatus",
        "ListStagedHostsErrors",
    },
    pacing: {"RequestPacer", "RetryPolicy"},
    paging: {"ItemRange", "Page", "content_range", "parse_range", "parse_total"},
    archive_calls: {"ArchiveCalls"},
    archives: {
        "ArchiveDifferences",
        "ArchivedKind",
        "ArchivedNamespace",
        "ArchivedObject",
        "ChangeType",
        "ChangedField",
        "ObjectDifference",
        "ReadArchiveErrors",
    },
    hook_calls: {"HookCalls"},
    hooks: {"BackupHook", "HookInPod", "HookStage", "HookStatus", "ListBackupHooksErrors"},
    verification_calls: {"VerificationCalls"},
    volume_calls: {"VolumeCalls"},
    volume_plan_calls: {"VolumePlanCalls"},
    volume_plans: {"PlannedVolume", "VolumePlan"},
    volume_targets: {"TargetState"},
    volumes: {
        "BackupVolume",
        "CancelVolumeRestoreErrors",
        "CreateVolumeRestore",
        "CreateVolumeRestoreErrors",
        "ListBackupVolumesErrors",
        "ReadVolumeRestoreErrors",
        "RestoredVolume",
        "VolumeRestoreRecord",
        "VolumeRestoreStatus",
        "VolumeStatus",
        "VolumeWish",
    },
    verification: {
        "BackupVerification",
        "GetVerificationErrors",
        "StartVerificationErrors",
        "ValidityCriterion",
        "VerificationDepth",
        "VerificationVerdict",
    },
    versions: {"choose_version", "parse_version"},
    wire: {"WireRecord", "WireRequest", "known_word", "requiring"},
}


@pytest.mark.parametrize("module", PUBLIC, ids=lambda module: module.__name__)
def test_public_names_change_only_on_purpose(module: ModuleType) -> None:
    defined = {
        name
        for name, value in vars(module).items()
        if (inspect.isclass(value) or inspect.isfunction(value))
        and value.__module__ == module.__name__
        and not name.startswith("_")
    }

    assert defined == PUBLIC[module]
    assert module.__name__.startswith(f"{backup_api.__name__}.")


def test_the_base_of_the_tables_has_no_rows() -> None:
    assert list(EndpointErrors) == []
