"""Requests to the Kubernetes API server, all writes with preconditions.

ClusterError
├── ConflictError
├── GoneError
├── ForbiddenError
└── NotLeadingError
"""

from collections.abc import AsyncIterator, Callable
from http import HTTPStatus
from types import TracebackType
from typing import Any, Final, Self
from urllib.parse import quote, urlencode

import aiohttp
import msgspec
from kubernetes.aio.client import Configuration
from kubernetes.aio.client.rest import RESTClientObject

from backup_operator.resources.group import GROUP, VERSION, Kind

REQUEST_TIMEOUT_S: Final = 30.0
PAGE_LENGTH: Final = 500
LONGEST_ERROR: Final = 300

FIELD_MANAGER: Final = "backup-operator"
"""The API server names the owner of a field after the first part of the User-Agent."""

JSON: Final = "application/json"
METADATA_ONLY: Final = (
    "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json"
)

Body = dict[str, Any]


class ClusterError(Exception):
    """The API server refused a request or did not answer it; ``status`` 0: no answer."""

    def __init__(self, request: str, status: int, message: str) -> None:
        super().__init__(f"{request}: {status or 'no answer'}: {message}")
        self.status = status


class ConflictError(ClusterError):
    """The object has changed since it was read; read it again and decide anew."""


class GoneError(ClusterError):
    """There is no such object."""


class ForbiddenError(ClusterError):
    """The operator's role does not allow the request."""


class NotLeadingError(ClusterError):
    """Another replica leads, so this one may not write."""


_KINDS_OF_ERROR: Final = {
    HTTPStatus.CONFLICT: ConflictError,
    HTTPStatus.NOT_FOUND: GoneError,
    HTTPStatus.FORBIDDEN: ForbiddenError,
}


def always() -> bool:
    """Allow every write."""
    return True


class ClusterApi:
    """A Kubernetes API server; an async context manager that owns its connections.

    ``may_write`` is asked right before each write, so that a replica which has stopped leading
    changes nothing.
    """

    def __init__(
        self, configuration: Configuration, may_write: Callable[[], bool] = always
    ) -> None:
        self._configuration: Any = configuration
        self._may_write = may_write
        self._rest: Any = RESTClientObject(configuration)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._rest.close()

    async def get(self, path: str) -> Body:
        """GET an object by its path from the root; raises GoneError if there is none."""
        return await self._request("GET", path)

    async def create(self, path: str, body: Body) -> Body:
        """POST an object; raises ClusterError."""
        return await self._request("POST", path, body)

    async def replace(self, path: str, body: Body) -> Body:
        """PUT an object as a whole; raises ConflictError if its resourceVersion is not the newest.

        For objects of which nobody else writes a part.
        """
        return await self._request("PUT", path, body)

    async def patch(
        self, kind: Kind, stored: Body, change: Body, *, subresource: str | None = None
    ) -> Body:
        """Apply a merge patch to ``stored`` as it was read, and return the object as it is now.

        Raises ConflictError if the object has changed since or another one bears its name, and
        GoneError if there is none any more.
        """
        metadata = stored["metadata"]
        preconditions = {
            "uid": metadata["uid"],
            "resourceVersion": metadata["resourceVersion"],
        }
        merged = {**change, "metadata": {**change.get("metadata", {}), **preconditions}}
        path = object_path(kind, metadata.get("namespace"), metadata["name"])
        if subresource is not None:
            path += f"/{subresource}"
        return await self._request("PATCH", path, merged, "application/merge-patch+json")

    async def get_object(self, kind: Kind, namespace: str | None, name: str) -> Body:
        """GET a resource of ours; raises GoneError if there is none."""
        return await self._request("GET", object_path(kind, namespace, name))

    async def create_object(self, kind: Kind, body: Body) -> Body:
        """POST a resource of ours; raises ConflictError if one of this name exists."""
        return await self._request("POST", object_path(kind, body["metadata"]["namespace"]), body)

    async def delete_object(self, kind: Kind, stored: Body) -> None:
        """DELETE ``stored`` as it was read; raises ConflictError if it has changed, GoneError."""
        metadata = stored["metadata"]
        preconditions = {
            "uid": metadata["uid"],
            "resourceVersion": metadata["resourceVersion"],
        }
        path = object_path(kind, metadata.get("namespace"), metadata["name"])
        await self._request("DELETE", path, {"preconditions": preconditions})

    async def list_metadata(self, kind: Kind, namespace: str | None) -> AsyncIterator[Body]:
        """List the metadata of all objects, page by page; ``namespace`` None: of all namespaces."""
        async for item in self._list(kind, namespace, METADATA_ONLY):
            yield item

    async def list_objects(self, kind: Kind, namespace: str | None) -> AsyncIterator[Body]:
        """List all objects, page by page; ``namespace`` None: of all namespaces."""
        async for item in self._list(kind, namespace, JSON):
            yield item

    async def _list(self, kind: Kind, namespace: str | None, accept: str) -> AsyncIterator[Body]:
        query = {"limit": str(PAGE_LENGTH)}
        while True:
            path = f"{object_path(kind, namespace)}?{urlencode(query)}"
            page = await self._request("GET", path, accept=accept)
            for item in page.get("items") or ():  # null, where there are none
                yield item
            following = page.get("metadata", {}).get("continue")
            if not following:
                return
            query["continue"] = following

    async def _request(
        self,
        method: str,
        path: str,
        body: Body | None = None,
        content_type: str = JSON,
        accept: str = JSON,
    ) -> Body:
        headers = {"Accept": accept, "Content-Type": content_type, "User-Agent": FIELD_MANAGER}
        settings = await self._configuration.auth_settings()
        for setting in settings.values():
            headers[setting["key"]] = setting["value"]
        url = self._configuration.host + path
        request = f"{method} {path.split('?', maxsplit=1)[0]}"
        if method != "GET" and not self._may_write():
            raise NotLeadingError(request, 0, "another replica leads")
        try:
            answer = await self._rest.request(
                method,
                url,
                headers=headers,
                body=body,
                _request_timeout=aiohttp.ClientTimeout(total=REQUEST_TIMEOUT_S),
            )
            content: bytes = await answer.read()
        except (TimeoutError, aiohttp.ClientError, OSError) as trouble:
            raise ClusterError(request, 0, str(trouble) or type(trouble).__name__) from trouble
        if answer.status >= HTTPStatus.BAD_REQUEST:
            kind = _KINDS_OF_ERROR.get(answer.status, ClusterError)
            raise kind(request, answer.status, _message(content))
        try:
            return msgspec.json.decode(content, type=Body)
        except msgspec.DecodeError as trouble:
            raise ClusterError(request, answer.status, "unreadable answer") from trouble


def object_path(kind: Kind, namespace: str | None, name: str | None = None) -> str:
    """Build the path of a resource of ours, or of its list."""
    path = f"/apis/{GROUP}/{VERSION}"
    if kind.is_namespaced and namespace is not None:
        path += f"/namespaces/{quote(namespace, safe='')}"
    path += f"/{kind.plural}"
    return path if name is None else f"{path}/{quote(name, safe='')}"


def _message(content: bytes) -> str:
    try:
        status = msgspec.json.decode(content, type=Body)
    except msgspec.DecodeError:
        return "unreadable answer"
    return str(status.get("message", ""))[:LONGEST_ERROR]
