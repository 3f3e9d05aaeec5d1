"""Self-description of a server on the wire (spec §8)."""

from backup_api.wire import WireRecord


class SystemAbout(WireRecord):
    """Product version of a server: GET /system/about (spec §8)."""

    build_version: str | None = None
    external_version: str | None = None
    release_name: str | None = None
    fips_enabled: bool | None = None


class ApiVersion(WireRecord):
    """One version of the API that a server knows: GET /help/versions (spec §8)."""

    id: int
    version: str
    deprecated: bool = False
    removed: bool = False
    root_resource_ids: tuple[int, ...] = ()
