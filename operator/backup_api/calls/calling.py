"""What the calls of every feature share: a GET, a POST, a page, and lists page by page."""

from collections.abc import AsyncIterator, Mapping
from typing import Final, Protocol, TypeVar

from pydantic import TypeAdapter

from backup_api.endpoints import Endpoint
from backup_api.exchange import Exchange
from backup_api.paging import ItemRange, Page, parse_total
from backup_api.wire import WireRequest

PAGE_LENGTH: Final = 500

Ids = Mapping[str, int | str]


class Identified(Protocol):
    """A record with an id."""

    @property
    def id(self) -> int:
        """Unique in its list."""
        ...


Shape = TypeVar("Shape")
Item = TypeVar("Item")
IdentifiedItem = TypeVar("IdentifiedItem", bound=Identified)


class Calls:
    """Base of the calls of a feature; they go out over one exchange."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange

    async def _get(
        self,
        endpoint: Endpoint,
        shape: TypeAdapter[Shape],
        *,
        ids: Ids | None = None,
        filter_by: str | None = None,
    ) -> Shape:
        query = {} if filter_by is None else {"filter": filter_by}
        return (await self._exchange.send(endpoint, ids=ids, query=query)).parsed(shape)

    async def _post(
        self,
        endpoint: Endpoint,
        shape: TypeAdapter[Shape],
        body: WireRequest,
        *,
        ids: Ids | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Shape:
        answer = await self._exchange.send(endpoint, ids=ids, body=body, headers=headers)
        return answer.parsed(shape)

    async def _page(
        self,
        endpoint: Endpoint,
        shape: TypeAdapter[tuple[Item, ...]],
        items: ItemRange,
        *,
        ids: Ids | None = None,
        query: Mapping[str, str] | None = None,
        filter_by: str | None = None,
        sort: str | None = None,
    ) -> Page[Item]:
        chosen = {**(query or {}), "filter": filter_by, "sort": sort}
        answer = await self._exchange.send(
            endpoint,
            ids=ids,
            query={name: value for name, value in chosen.items() if value is not None},
            headers={"Range": str(items)},
        )
        records = answer.parsed(shape)
        return Page(records, items.first, parse_total(answer.headers.get("Content-Range")))

    async def _each_by_id(
        self,
        endpoint: Endpoint,
        shape: TypeAdapter[tuple[IdentifiedItem, ...]],
        filter_by: str | None,
        page_length: int,
    ) -> AsyncIterator[IdentifiedItem]:
        """Walk a sortable list by ascending id, one page in memory at a time.

        Pages continue after the last id seen rather than at a position, so that a record which
        goes while the list is read hides no other.
        """
        seen = 0
        while True:
            after = f"id > {seen}"
            page = await self._page(
                endpoint,
                shape,
                ItemRange(0, page_length - 1),
                filter_by=f"({filter_by}) and {after}" if filter_by else after,
                sort="+id",
            )
            for record in page.records:
                yield record
            if len(page.records) < page_length:
                return
            seen = page.records[-1].id

    async def _each_by_position(
        self,
        endpoint: Endpoint,
        shape: TypeAdapter[tuple[Item, ...]],
        filter_by: str | None,
        page_length: int,
        *,
        ids: Ids | None = None,
    ) -> AsyncIterator[Item]:
        """Walk a list that takes no sort, one page in memory at a time."""
        first = 0
        while True:
            items = ItemRange(first, first + page_length - 1)
            page = await self._page(endpoint, shape, items, ids=ids, filter_by=filter_by)
            for record in page.records:
                yield record
            if len(page.records) < page_length:
                return
            first += page_length
