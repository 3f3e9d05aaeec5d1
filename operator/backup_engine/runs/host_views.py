"""Hosts as the wire shows them, staged and deployed. Pure (spec §6.0)."""

from backup_api.hosts import HostRecord, HostStatus
from backup_engine.product import Product, build_console, build_data_host
from backup_engine.records.hosts import StoredHost


def build_staged(host: StoredHost, product: Product) -> HostRecord:
    """Build a host as it will be after the next deploy, or is being made or unmade until then."""
    if host.staged is None and host.status is not HostStatus.DELETED:
        return _build(host, product, HostStatus.DELETING)
    return _build(host, product, host.status)


def build_deployed(host: StoredHost, product: Product) -> HostRecord | None:
    """Build a host as it is in force; None: it never was.

    One that was deleted is shown as long as backups name it.
    """
    if host.deployed is None and host.status is not HostStatus.DELETED:
        return None
    return _build(host, product, host.status)


def build_known(host: StoredHost, product: Product) -> HostRecord:
    """Build a host as it is in force, or else as it is staged."""
    return build_deployed(host, product) or build_staged(host, product)


def _build(host: StoredHost, product: Product, status: HostStatus) -> HostRecord:
    if host.is_console:
        return build_console(product)
    return build_data_host(product, host.id, host.name, status)
