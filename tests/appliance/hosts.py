"""The managed hosts of the fake (spec §6.0)."""

from appliance.wire import Record

CONSOLE = 53
DATA_HOST = 103
NOT_ACTIVE = 104
NO_DATA = 105


def build_hosts() -> list[Record]:
    """Build a Console, a data host, one that is not active and one that stores no events."""
    console = [
        "magistrate",
        "ariel_proxy_server",
        "eventprocessor",
        "eventcollector",
        "hostcontext",
    ]
    processor = ["eventprocessor", "eventcollector", "ariel_query_server", "hostcontext"]
    return [
        _host(CONSOLE, "console1", "3199", "Console", console, "192.0.2.10"),
        _host(DATA_HOST, "ep1", "1699", "Event Processor", processor, "192.0.2.20"),
        _host(NOT_ACTIVE, "ep2", "1699", "Event Processor", processor, "192.0.2.21", "ADD_FAILED"),
        _host(NO_DATA, "ec1", "1501", "Event Collector", ["eventcollector"], "192.0.2.30"),
    ]


def _host(
    host_id: int,
    hostname: str,
    appliance_id: str,
    appliance_type: str,
    components: list[str],
    address: str,
    status: str = "Active",
) -> Record:
    return {
        "id": host_id,
        "hostname": hostname,
        "private_ip": address,
        "public_ip": address,
        "appliance": {"id": appliance_id, "type": appliance_type},
        "version": "7.5.0",
        "status": status,
        "components": list(components),
        "eps_rate_hardware_limit": 30000,
        "eps_allocation": 5000,
        "average_eps": 1200,
        "peak_eps": 4100,
        "fpm_rate_hardware_limit": 600000,
        "fpm_allocation": 100000,
        "average_fpm": None,
        "peak_fpm": None,
        "primary_server_id": host_id,
        "secondary_server_id": None,
        "license_serial_number": None,
        "compression_enabled": False,
        "encryption_enabled": False,
        "email_server_id": 1,
        "proxy_server_id": None,
        "remote_tunnel_initiation_enabled": False,
        "cpus": 24,
        "total_memory": 131072000,
        "app_memory": 13107200,
    }
