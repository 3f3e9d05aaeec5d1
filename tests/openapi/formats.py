"""What schemathesis sends where a format says more than a type can: hooks for its command line."""

import schemathesis
from hypothesis import strategies as st

from backup_api.about import ApiVersion
from backup_api.backups import BackupRecord
from backup_api.documentation import EndpointDescription, ResourceDescription
from backup_api.extensions.volumes import VolumeRestoreRecord
from backup_api.hosts import HostRecord
from backup_api.restores import RestoreRecord
from backup_api.servers import ServerRecord
from backup_api.tunnels import TunnelRecord
from backup_api.wire import WireRecord
from backup_engine.query.shapes import build_members
from grammar.filters import filters, with_words

LISTED: tuple[type[WireRecord], ...] = (
    ApiVersion,
    BackupRecord,
    EndpointDescription,
    HostRecord,
    ResourceDescription,
    RestoreRecord,
    ServerRecord,
    TunnelRecord,
    VolumeRestoreRecord,
)

_LEFT_OUT: dict[type[WireRecord], set[str]] = {
    ServerRecord: {"email_server_address"}
}  # the list has it not (spec §8)
_RANGES = st.tuples(st.integers(0, 2**63 - 1), st.integers(0, 2**63 - 1)).map(sorted)

for model in LISTED:
    members = with_words(build_members(model, _LEFT_OUT.get(model, ())))
    schemathesis.openapi.format(f"{model.__name__}-filter", filters(members))
schemathesis.openapi.format("items-range", _RANGES.map(lambda ends: f"items={ends[0]}-{ends[1]}"))
