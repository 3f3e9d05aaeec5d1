"""What is staged and deployed: configuration, hosts, tunnels (spec §5, §6)."""

from dataclasses import dataclass, field

from appliance.hosts import CONSOLE, DATA_HOST, NO_DATA, build_hosts
from appliance.wire import Record

DAY_MS = 86_400_000
MINUTE_MS = 60_000
LONGEST_LIMITS_MS = 1440 * MINUTE_MS  # both together (spec §13 no. 8)


def build_configuration() -> Record:
    """Build the configuration of a fresh appliance (spec §5.0, §13 no. 9)."""
    return {
        "configuration_id": 1,
        "backup_directory_path": "/store/backup",
        "backup_retention_period": 7 * DAY_MS,
        "data_backup_host_configuration": [
            {
                "host_id": DATA_HOST,
                "event_data_backup_enabled": True,
                "flow_data_backup_enabled": False,
            }
        ],
        "configuration_backup_enabled": True,
        "data_backup_priority": "LOW",
        "configuration_backup_priority": "HIGH",
        "data_backup_time_limit": 1186 * MINUTE_MS,
        "configuration_backup_time_limit": 180 * MINUTE_MS,
    }


def build_host_table() -> dict[int, Record]:
    """The hosts by id."""
    table = {}
    for host in build_hosts():
        assert isinstance(host["id"], int)
        table[host["id"]] = host
    return table


def build_tunnels() -> dict[int, list[Record]]:
    """Tunnels by host: one of them ends at the Console, the other does not."""
    return {
        DATA_HOST: [_tunnel("console1-ep1", CONSOLE, 32001), _tunnel("ec1-ep1", NO_DATA, 32002)],
        NO_DATA: [_tunnel("ep1-ec1", DATA_HOST, 32003)],
    }


def _tunnel(name: str, remote_host_id: int, port: int) -> Record:
    return {
        "name": name,
        "remote_host_id": remote_host_id,
        "remote_port": port,
        "local_port": port,
        "reverse_source": False,
    }


@dataclass(slots=True)
class Settings:
    """One view of the deployment; two views are equal when there is nothing to deploy."""

    configuration: Record = field(default_factory=build_configuration)
    hosts: dict[int, Record] = field(default_factory=build_host_table)
    tunnels: dict[int, list[Record]] = field(default_factory=build_tunnels)

    @property
    def data_hosts(self) -> set[int]:
        """Hosts enabled for DATA backups: by at least one flag (spec §14 no. 18)."""
        rows = self.configuration["data_backup_host_configuration"]
        assert isinstance(rows, list)
        found = set()
        for row in rows:
            assert isinstance(row, dict)
            if row["event_data_backup_enabled"] or row["flow_data_backup_enabled"]:
                assert isinstance(row["host_id"], int)
                found.add(row["host_id"])
        return found
