"""What this engine is: its versions, and what the wire says of its hosts."""

import os
from dataclasses import dataclass
from importlib.metadata import version
from typing import Final

from backup_api.about import SystemAbout
from backup_api.hosts import CONSOLE_COMPONENT, STORES_DATA, Appliance, HostRecord, HostStatus

DISTRIBUTION: Final = "backup-operator"
CONSOLE_ID: Final = 1
CONSOLE_NAME: Final = "console"
CONFIGURATION_ID: Final = 1
"""The one backup configuration (spec §5)."""

DATA_COMPONENT: Final = "dataNode"
"""What makes a host one that stores data (spec §13 no. 7)."""

COMPONENTS: Final = STORES_DATA | {
    *("eventcollectoringress", "eventcollector", CONSOLE_COMPONENT, "vis", "assetprofiler"),
    *("qflow", "hostcontext", "tunnel", "setuptunnel", "ecs-ec-ingress", "ecs-ec", "ecs-ep"),
    *("resolveragent", "resolver_manager", "offsiteSource", "offsiteTarget", "accumulator"),
    *("data_export", "offline_forwarder", "qvm", "qvmprocessor", "qvmscanner"),
    *("qvmhostedscanner", "qvmsiteprotector", "arc_builder", "tomcat-rm", "ziptie-server", "qrm"),
    *("asset_change_publisher", "forensicsnode", "forensics_realtime", "masterdaemon"),
}
"""Every word that ``components`` may hold (spec §6.0)."""


@dataclass(frozen=True, slots=True)
class Product:
    """Version and build of the engine, as records and ``/system/about`` tell them."""

    version: str
    build_version: str


def installed_product() -> Product:
    """Read the version of the installed distribution."""
    installed = version(DISTRIBUTION)
    return Product(version=installed, build_version=installed)


def build_about(product: Product) -> SystemAbout:
    """Build the answer of GET /system/about (spec §8)."""
    return SystemAbout(
        build_version=product.build_version,
        external_version=product.version,
        release_name=f"backup-engine {product.version}",
        fips_enabled=False,
    )


def build_console(product: Product) -> HostRecord:
    """Build the console host: the API objects of the cluster (architecture §7).

    It counts no events and has no licence, so what the wire says of those is null.
    """
    return HostRecord(
        id=CONSOLE_ID,
        hostname=CONSOLE_NAME,
        appliance=Appliance(type="Kubernetes cluster"),  # no machine with a type number
        version=product.version,
        status=HostStatus.ACTIVE,
        components=("hostcontext", CONSOLE_COMPONENT),
        compression_enabled=True,  # archives are
        primary_server_id=CONSOLE_ID,
        cpus=os.cpu_count(),
    )


def build_data_host(product: Product, host_id: int, name: str, status: HostStatus) -> HostRecord:
    """Build a data host: volumes of the cluster (architecture §7)."""
    return HostRecord(
        id=host_id,
        hostname=name,
        appliance=Appliance(type="Kubernetes volumes"),
        version=product.version,
        status=status,
        components=(DATA_COMPONENT, "hostcontext"),
        compression_enabled=True,  # snapshots are
        primary_server_id=host_id,
    )
