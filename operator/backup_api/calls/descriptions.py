"""Calls about the server itself: its product version and its own documentation (spec §8)."""

from collections.abc import AsyncIterator
from typing import Final

from pydantic import TypeAdapter

from backup_api import endpoints
from backup_api.about import ApiVersion, SystemAbout
from backup_api.calls.calling import PAGE_LENGTH, Calls
from backup_api.documentation import EndpointDescription, ResourceDescription
from backup_api.paging import ItemRange, Page

_ABOUT: Final = TypeAdapter(SystemAbout)
_VERSION: Final = TypeAdapter(ApiVersion)
_VERSIONS: Final = TypeAdapter(tuple[ApiVersion, ...])
_ENDPOINT: Final = TypeAdapter(EndpointDescription)
_ENDPOINTS: Final = TypeAdapter(tuple[EndpointDescription, ...])
_RESOURCE: Final = TypeAdapter(ResourceDescription)
_RESOURCES: Final = TypeAdapter(tuple[ResourceDescription, ...])


class DescriptionCalls(Calls):
    """Ask a server what it is and what it serves."""

    async def about(self) -> SystemAbout:
        """Get the product version; the cheapest probe of address, trust and credentials."""
        return await self._get(endpoints.ABOUT, _ABOUT)

    async def list_versions(self) -> tuple[ApiVersion, ...]:
        """List the API versions that the server knows."""
        return await self._get(endpoints.LIST_VERSIONS, _VERSIONS)

    async def get_version(self, version_id: int) -> ApiVersion:
        """Get one API version; 404/1002 is GetVersionErrors.UNKNOWN_VERSION."""
        return await self._get(endpoints.GET_VERSION, _VERSION, ids={"id": version_id})

    async def list_endpoint_descriptions_page(
        self, items: ItemRange, *, filter_by: str | None = None
    ) -> Page[EndpointDescription]:
        """List one stretch of the endpoints; each tells whether this caller has access."""
        endpoint = endpoints.LIST_ENDPOINT_DESCRIPTIONS
        return await self._page(endpoint, _ENDPOINTS, items, filter_by=filter_by)

    def list_endpoint_descriptions(
        self, *, filter_by: str | None = None, page_length: int = PAGE_LENGTH
    ) -> AsyncIterator[EndpointDescription]:
        """List all endpoints, one page in memory at a time; ids change with restarts."""
        endpoint = endpoints.LIST_ENDPOINT_DESCRIPTIONS
        return self._each_by_position(endpoint, _ENDPOINTS, filter_by, page_length)

    async def get_endpoint_description(self, endpoint_id: int) -> EndpointDescription:
        """Get the description of one endpoint; 404/1002 is GetDescriptionErrors.UNKNOWN_ID."""
        ids = {"endpoint_id": endpoint_id}
        return await self._get(endpoints.GET_ENDPOINT_DESCRIPTION, _ENDPOINT, ids=ids)

    async def list_resource_descriptions_page(
        self, items: ItemRange, *, filter_by: str | None = None
    ) -> Page[ResourceDescription]:
        """List one stretch of the tree of resources."""
        endpoint = endpoints.LIST_RESOURCE_DESCRIPTIONS
        return await self._page(endpoint, _RESOURCES, items, filter_by=filter_by)

    def list_resource_descriptions(
        self, *, filter_by: str | None = None, page_length: int = PAGE_LENGTH
    ) -> AsyncIterator[ResourceDescription]:
        """List the tree of resources, one page in memory at a time."""
        endpoint = endpoints.LIST_RESOURCE_DESCRIPTIONS
        return self._each_by_position(endpoint, _RESOURCES, filter_by, page_length)

    async def get_resource_description(self, resource_id: int) -> ResourceDescription:
        """Get the description of one resource; 404/1002 is GetDescriptionErrors.UNKNOWN_ID."""
        ids = {"resource_id": resource_id}
        return await self._get(endpoints.GET_RESOURCE_DESCRIPTION, _RESOURCE, ids=ids)
