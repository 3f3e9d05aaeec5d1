"""Self-description of a server on the wire (spec §8)."""

from pydantic import Field

from backup_api.wire import WireRecord


class SystemAbout(WireRecord):
    """Product version of a server: GET /system/about (spec §8)."""

    build_version: str | None = Field(None, description="build, exact")
    external_version: str | None = Field(None, description="product version, as in backups")
    release_name: str | None = Field(None, description="product version for people")
    fips_enabled: bool | None = Field(None, description="FIPS mode is on")


class ApiVersion(WireRecord):
    """One version of the API that a server knows: GET /help/versions (spec §8)."""

    id: int
    version: str = Field(description="as the header Version takes it")
    deprecated: bool = Field(False, description="still answered, with a header Deprecated")
    removed: bool = Field(False, description="no longer answered: 422")
    root_resource_ids: tuple[int, ...] = Field((), description="ids in /help/resources")
