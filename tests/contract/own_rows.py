"""Which case covers each row of the endpoints' own tables, on each server."""

from collections.abc import Mapping

from backup_api import configurations, documentation, errors, hosts, restores, servers, tunnels
from backup_api.errors import EndpointErrors
from contract.cover import (
    BROKEN,
    NO_ACTIVE_DATA_HOST,
    NO_DATA_RUNS,
    NO_HARDWARE_LIMIT,
    NO_SERIALIZED_LICENCE,
    NO_SUCH_GROUP,
    NO_SUCH_MEMBER,
    NO_TEXT,
    NO_TUNNELS,
    ONLY_BY_LEVER,
    REFUSED_ALWAYS,
    Absent,
    Case,
    Cover,
)

_CREATE = "test_create_backup.py::"
_CONFLICT = "test_create_conflicts.py::"
_ONE = "test_one_backup.py::"
_WRONG_MEMBER = Case(_CREATE + "test_a_wrong_member_is_refused")
_UNFIT_HOST = Case(_CONFLICT + "test_an_unfit_host_is_refused")


_RESTORE = "test_restores.py::"
_SETTINGS = "test_configurations.py::"
_STAGED_HOST = "test_staged_hosts.py::"
_TUNNEL = "test_tunnels.py::"
_UNFIT = "test_unfit_hosts.py::"
_WRONG_RESTORE = Case(_RESTORE + "test_a_wrong_request_is_refused")
_UNFIT_BACKUP = Case(_RESTORE + "test_an_unfit_backup_is_refused")
_UNKNOWN_RESTORE = Case(_RESTORE + "test_an_unknown_restore_is_refused")
_WRONG_CHANGE = Case(_SETTINGS + "test_a_wrong_change_is_refused_and_stages_nothing")
_WRONG_ALLOCATION = Case(_STAGED_HOST + "test_an_impossible_allocation_is_refused")
_HARDWARE = Case(_STAGED_HOST + "test_the_hardware_has_its_limits")


def _both(case: Cover) -> tuple[Cover, Cover]:
    return case, case


OWN: Mapping[EndpointErrors, tuple[Cover, Cover]] = {
    errors.ListBackupsErrors.WRONG_SORT: _both(
        Case("test_list_backups.py::test_other_names_are_not_sortable")
    ),
    errors.ListBackupsErrors.UNREADABLE: _both(BROKEN),
    errors.ListBackupsErrors.UNREADABLE_LOCATION: _both(BROKEN),
    errors.CreateBackupErrors.NAME_EMPTY: _both(_WRONG_MEMBER),
    errors.CreateBackupErrors.NAME_TOO_LONG: _both(_WRONG_MEMBER),
    errors.CreateBackupErrors.NAME_CHARACTERS: _both(_WRONG_MEMBER),
    errors.CreateBackupErrors.NAME_TAKEN: _both(Case(_CONFLICT + "test_a_taken_name_is_409_1005")),
    errors.CreateBackupErrors.CONFIGURATION_MISSING: _both(_WRONG_MEMBER),
    errors.CreateBackupErrors.CONFIGURATION_UNKNOWN: _both(_WRONG_MEMBER),
    errors.CreateBackupErrors.DESCRIPTION_TOO_LONG: _both(_WRONG_MEMBER),
    errors.CreateBackupErrors.HOST_UNKNOWN: _both(_WRONG_MEMBER),
    errors.CreateBackupErrors.HOST_NOT_ACTIVE: _both(
        Case(_UNFIT + "test_a_host_that_is_not_active_has_no_backup")
    ),
    errors.CreateBackupErrors.NOT_DEPLOYED: (
        Case(_CONFLICT + "test_a_staged_change_has_to_be_deployed_409_1011"),
        Case(_CONFLICT + "test_a_change_of_the_settings_has_to_be_deployed_409_1011"),
    ),
    errors.CreateBackupErrors.NOT_THE_CONSOLE: (_UNFIT_HOST, NO_ACTIVE_DATA_HOST),
    errors.CreateBackupErrors.NO_DATA_ON_HOST: _both(
        Case(_CONFLICT + "test_a_host_without_data_has_no_data_backup_422_1013")
    ),
    errors.CreateBackupErrors.HOST_NOT_ENABLED: (_UNFIT_HOST, NO_ACTIVE_DATA_HOST),
    errors.CreateBackupErrors.HOST_BUSY: _both(
        Case(_CONFLICT + "test_one_backup_at_a_time_runs_on_a_host_409_1015")
    ),
    errors.CreateBackupErrors.RESTORE_RUNNING: (
        Case(_CONFLICT + "test_a_restore_blocks_every_host_409_1016"),
        Case(_RESTORE + "test_a_running_restore_is_in_the_way_409_1016"),
    ),
    errors.CreateBackupErrors.NOT_CREATED: _both(BROKEN),
    errors.GetBackupErrors.UNKNOWN_BACKUP: _both(
        Case(_ONE + "test_get_of_an_unknown_backup_is_404_1001")
    ),
    errors.GetBackupErrors.UNREADABLE: _both(BROKEN),
    errors.ChangeBackupErrors.UNKNOWN_BACKUP: _both(
        Case(_ONE + "test_change_of_an_unknown_backup_is_404_1001")
    ),
    errors.ChangeBackupErrors.DESCRIPTION_TOO_LONG: _both(
        Case(_ONE + "test_a_longer_description_is_422_1008")
    ),
    errors.ChangeBackupErrors.NOT_UPDATED: _both(BROKEN),
    errors.DeleteBackupErrors.UNKNOWN_BACKUP: _both(
        Case(_ONE + "test_delete_of_an_unknown_backup_is_404_1001")
    ),
    errors.DeleteBackupErrors.ALREADY_LEAVING: (
        Case(_ONE + "test_a_second_delete_is_422_1017"),
        Case(_ONE + "test_of_many_deletes_one_is_accepted_and_others_are_422_1017"),
    ),
    errors.DeleteBackupErrors.NOT_DELETED: _both(BROKEN),
    errors.ListHostsErrors.UNREADABLE: _both(BROKEN),
    errors.GetHostErrors.UNKNOWN_HOST: _both(
        Case("test_hosts.py::test_an_unknown_host_is_404_1002")
    ),
    errors.GetHostErrors.WRONG_ID: _both(
        Case("test_hosts.py::test_an_id_that_is_not_positive_is_422_1003")
    ),
    errors.GetHostErrors.UNREADABLE: _both(BROKEN),
    restores.ListRestoresErrors.WRONG_SORT: _both(
        Case(_RESTORE + "test_other_names_are_not_sortable_422_1018")
    ),
    restores.ListRestoresErrors.UNREADABLE: _both(BROKEN),
    restores.CreateRestoreErrors.ANOTHER_IS_OPEN: _both(
        Case(_RESTORE + "test_only_one_restore_may_be_open_409_1011")
    ),
    restores.CreateRestoreErrors.BACKUP_MISSING: _both(_WRONG_RESTORE),
    restores.CreateRestoreErrors.BACKUP_UNKNOWN: _both(_WRONG_RESTORE),
    restores.CreateRestoreErrors.NOT_CONFIG: (_UNFIT_BACKUP, NO_DATA_RUNS),
    restores.CreateRestoreErrors.NOT_SUCCESSFUL: _both(
        Case(_RESTORE + "test_the_archive_has_to_be_there_422_1005")
    ),
    restores.CreateRestoreErrors.NOT_VALID: (_UNFIT_BACKUP, ONLY_BY_LEVER),
    restores.CreateRestoreErrors.NOT_COMPATIBLE: (_UNFIT_BACKUP, ONLY_BY_LEVER),
    restores.CreateRestoreErrors.GROUPS_MISSING: _both(_WRONG_RESTORE),
    restores.CreateRestoreErrors.DEPLOYMENT_MISSING: _both(_WRONG_RESTORE),
    restores.CreateRestoreErrors.GROUP_UNKNOWN: _both(_WRONG_RESTORE),
    restores.CreateRestoreErrors.DOMAINS_INCOMPLETE: _both(NO_SUCH_GROUP),
    restores.CreateRestoreErrors.NOT_CREATED: _both(BROKEN),
    restores.GetRestoreErrors.UNKNOWN_RESTORE: _both(_UNKNOWN_RESTORE),
    restores.GetRestoreErrors.UNREADABLE: _both(BROKEN),
    restores.LaunchRestoreErrors.UNKNOWN_RESTORE: _both(_UNKNOWN_RESTORE),
    restores.LaunchRestoreErrors.REBALANCING: (
        Case(_RESTORE + "test_rebalancing_is_in_the_way_409_1014"),
        Absent("nothing is rebalanced in a cluster"),
    ),
    restores.LaunchRestoreErrors.BACKUP_RUNNING: (
        Case(_RESTORE + "test_a_running_backup_is_in_the_way_409_1015"),
        ONLY_BY_LEVER,
    ),
    restores.LaunchRestoreErrors.RESTORE_RUNNING: _both(
        Case(_RESTORE + "test_a_running_restore_is_in_the_way_409_1016")
    ),
    restores.LaunchRestoreErrors.NOT_PENDING: _both(
        Case(_RESTORE + "test_a_second_launch_is_422_1012")
    ),
    restores.LaunchRestoreErrors.WRONG_STATUS: _both(
        Case(_RESTORE + "test_only_requesting_launches_422_1013")
    ),
    restores.LaunchRestoreErrors.NO_FLOW_COLLECTION: _both(NO_SUCH_MEMBER),
    restores.LaunchRestoreErrors.NO_SUCH_SITE_HOST: _both(NO_SUCH_MEMBER),
    restores.LaunchRestoreErrors.NO_EVENT_COLLECTOR: _both(NO_SUCH_MEMBER),
    restores.LaunchRestoreErrors.NO_SUCH_COLLECTOR: _both(NO_SUCH_MEMBER),
    restores.LaunchRestoreErrors.SITE_1034: _both(NO_SUCH_MEMBER),
    restores.LaunchRestoreErrors.SITE_1035: _both(NO_SUCH_MEMBER),
    restores.LaunchRestoreErrors.SITE_1036: _both(NO_SUCH_MEMBER),
    restores.LaunchRestoreErrors.SITE_1037: _both(NO_SUCH_MEMBER),
    restores.LaunchRestoreErrors.NOT_UPDATED: _both(BROKEN),
    restores.DeleteRestoreErrors.UNKNOWN_RESTORE: _both(_UNKNOWN_RESTORE),
    restores.DeleteRestoreErrors.FINISHED: _both(
        Case(_RESTORE + "test_a_finished_restore_stays_422_1017")
    ),
    restores.DeleteRestoreErrors.NOT_DELETED: _both(BROKEN),
    restores.InternalOperationErrors.UNKNOWN: _both(
        Case("test_internal_operations.py::test_an_internal_operation_is_refused")
    ),
    restores.InternalOperationErrors.FAILED: _both(REFUSED_ALWAYS),
    configurations.ListConfigurationsErrors.UNREADABLE: _both(BROKEN),
    configurations.GetConfigurationErrors.UNKNOWN_CONFIGURATION: _both(
        Case(_SETTINGS + "test_an_unknown_configuration_is_refused")
    ),
    configurations.GetConfigurationErrors.UNREADABLE: _both(BROKEN),
    configurations.ChangeConfigurationErrors.UNKNOWN_CONFIGURATION: _both(
        Case(_SETTINGS + "test_an_unknown_configuration_cannot_be_changed_404_1001")
    ),
    configurations.ChangeConfigurationErrors.INVALID: _both(_WRONG_CHANGE),
    configurations.ChangeConfigurationErrors.DIRECTORY_MISSING: _both(_WRONG_CHANGE),
    configurations.ChangeConfigurationErrors.DIRECTORY_NOT_ABSOLUTE: _both(_WRONG_CHANGE),
    configurations.ChangeConfigurationErrors.NOT_A_DIRECTORY: (
        Case(_SETTINGS + "test_a_file_is_no_directory_422_1005"),
        ONLY_BY_LEVER,
    ),
    configurations.ChangeConfigurationErrors.RETENTION_INVALID: _both(_WRONG_CHANGE),
    configurations.ChangeConfigurationErrors.TIME_LIMIT_INVALID: _both(_WRONG_CHANGE),
    configurations.ChangeConfigurationErrors.TIME_LIMITS_TOO_LONG: _both(_WRONG_CHANGE),
    configurations.ChangeConfigurationErrors.HOST_NOT_ACTIVE: _both(
        Case(_UNFIT + "test_a_host_that_is_not_active_is_not_configured")
    ),
    configurations.ChangeConfigurationErrors.HOST_WITHOUT_DATA: _both(
        Case(_UNFIT + "test_a_host_without_data_is_not_configured")
    ),
    configurations.ChangeConfigurationErrors.NOT_UPDATED: _both(BROKEN),
    hosts.ListStagedHostsErrors.UNREADABLE: _both(BROKEN),
    hosts.GetStagedHostErrors.UNKNOWN_HOST: _both(
        Case(_STAGED_HOST + "test_an_unknown_staged_host_is_refused")
    ),
    hosts.GetStagedHostErrors.WRONG_ID: _both(
        Case(_STAGED_HOST + "test_a_staged_id_that_is_not_positive_is_refused")
    ),
    hosts.GetStagedHostErrors.UNREADABLE: _both(BROKEN),
    hosts.ChangeAllocationErrors.UNKNOWN_HOST: _both(
        Case(_STAGED_HOST + "test_an_unknown_host_gets_no_allocation")
    ),
    hosts.ChangeAllocationErrors.EPS_NO_MULTIPLE: _both(_WRONG_ALLOCATION),
    hosts.ChangeAllocationErrors.FPM_NO_MULTIPLE: _both(_WRONG_ALLOCATION),
    hosts.ChangeAllocationErrors.EPS_TOO_LOW: _both(_WRONG_ALLOCATION),
    hosts.ChangeAllocationErrors.FPM_TOO_LOW: _both(_WRONG_ALLOCATION),
    hosts.ChangeAllocationErrors.SERIALIZED_LICENCE: (
        Case(_STAGED_HOST + "test_a_serialized_licence_is_fixed_417_1016"),
        NO_SERIALIZED_LICENCE,
    ),
    hosts.ChangeAllocationErrors.EPS_ABOVE_HARDWARE: (_HARDWARE, NO_HARDWARE_LIMIT),
    hosts.ChangeAllocationErrors.FPM_ABOVE_HARDWARE: (_HARDWARE, NO_HARDWARE_LIMIT),
    hosts.ChangeAllocationErrors.EPS_ABOVE_POOL: _both(_WRONG_ALLOCATION),
    hosts.ChangeAllocationErrors.FPM_ABOVE_POOL: _both(_WRONG_ALLOCATION),
    hosts.ChangeAllocationErrors.INVALID: _both(
        Case(_STAGED_HOST + "test_a_body_without_an_allocation_is_refused")
    ),
    hosts.ChangeAllocationErrors.REFUSED_1022: _both(NO_TEXT),
    hosts.ChangeAllocationErrors.REFUSED_1023: _both(NO_TEXT),
    hosts.ChangeAllocationErrors.REFUSED_1024: _both(NO_TEXT),
    hosts.ChangeAllocationErrors.NOT_UPDATED: _both(BROKEN),
    tunnels.ListTunnelsErrors.UNKNOWN_HOST: _both(
        Case(_TUNNEL + "test_an_unknown_host_has_no_tunnels")
    ),
    tunnels.ListTunnelsErrors.WRONG_HOST_ID: _both(
        Case(_TUNNEL + "test_a_host_id_that_is_not_positive_is_refused")
    ),
    tunnels.ChangeTunnelErrors.UNKNOWN_TUNNEL: _both(
        Case(_TUNNEL + "test_an_unknown_tunnel_is_404_1012")
    ),
    tunnels.ChangeTunnelErrors.UNKNOWN_HOST: _both(
        Case(_TUNNEL + "test_no_tunnel_of_an_unknown_host_changes")
    ),
    tunnels.ChangeTunnelErrors.WRONG_TUNNEL_NAME: _both(
        Case(_TUNNEL + "test_a_tunnel_name_has_no_blanks_422_1010")
    ),
    tunnels.ChangeTunnelErrors.WRONG_HOST_ID: _both(
        Case(_TUNNEL + "test_no_tunnel_of_an_impossible_host_changes")
    ),
    tunnels.ChangeTunnelErrors.CONSOLE_TUNNEL: (
        Case(_TUNNEL + "test_a_tunnel_of_the_console_cannot_change_422_1014"),
        NO_TUNNELS,
    ),
    tunnels.ChangeTunnelErrors.INVALID: (
        Case(_TUNNEL + "test_the_one_member_is_required_422_1016"),
        NO_TUNNELS,
    ),
    servers.ListServersErrors.UNREADABLE: _both(BROKEN),
    servers.GetServerErrors.UNKNOWN_SERVER: _both(
        Case("test_servers.py::test_an_unknown_server_is_refused")
    ),
    servers.GetServerErrors.WRONG_ID: _both(
        Case("test_servers.py::test_a_server_id_that_is_not_positive_is_refused")
    ),
    servers.GetServerErrors.UNREADABLE: _both(BROKEN),
    documentation.ListDescriptionsErrors.UNREADABLE: _both(BROKEN),
    documentation.GetDescriptionErrors.UNKNOWN_ID: _both(
        Case("test_help.py::test_an_unknown_description_is_refused")
    ),
    documentation.GetDescriptionErrors.UNREADABLE: _both(BROKEN),
    errors.GetDeployErrors.UNREADABLE: _both(BROKEN),
    errors.StartDeployErrors.BUSY_OR_NOTHING: (
        Case("test_deploy.py::test_a_deploy_that_runs_is_409_1002"),
        Case("test_deploy.py::test_of_many_deploys_one_runs_at_a_time_409_1002"),
    ),
    errors.StartDeployErrors.REFUSED: _both(NO_TEXT),
    errors.StartDeployErrors.NOTHING_TO_DEPLOY: _both(
        Case("test_deploy.py::test_nothing_to_deploy_is_409_1004")
    ),
    errors.StartDeployErrors.WRONG_TYPE: _both(
        Case("test_deploy.py::test_an_unknown_type_is_422_1005")
    ),
    errors.StartDeployErrors.NOT_STARTED: _both(BROKEN),
    errors.AboutErrors.UNREADABLE: _both(BROKEN),
    errors.ListVersionsErrors.UNREADABLE: _both(BROKEN),
    errors.GetVersionErrors.UNKNOWN_VERSION: _both(
        Case("test_self_description.py::test_an_unknown_version_is_404_1002")
    ),
    errors.GetVersionErrors.UNREADABLE: _both(BROKEN),
}
"""Rows of the endpoints' own tables: on the appliance, on the engine."""
