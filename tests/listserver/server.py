import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from aiohttp import web

Object = dict[str, Any]


def a_config_map(name: str, namespace: str = "default", **content: str) -> Object:
    return {
        "metadata": {
            "name": name,
            "namespace": namespace,
            "uid": f"uid-{namespace}-{name}",
            "resourceVersion": "7",
        },
        "data": content,
    }


@dataclass
class Listing:
    """One resource and its objects; ``is_typed``: items leave out apiVersion and kind."""

    group: str
    version: str
    resource: str
    kind: str
    objects: list[Object] = field(default_factory=list)
    is_namespaced: bool = True
    is_typed: bool = True
    verbs: tuple[str, ...] = ("get", "list", "watch")

    @property
    def api_version(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def root(self) -> str:
        return f"/apis/{self.group}/{self.version}" if self.group else f"/api/{self.version}"


@dataclass
class Fault:
    """An answer given ``times`` times instead of the real one; status 0 cuts the connection."""

    status: int
    message: str = ""
    times: int = 1
    headers: dict[str, str] = field(default_factory=dict)
    continue_: str = ""
    only_with_token: bool = False


class ListServer:
    def __init__(self) -> None:
        self.listings: list[Listing] = []
        self.stale: list[tuple[str, str]] = []
        self.faults: dict[str, list[Fault]] = {}
        self.requests: list[tuple[str, dict[str, str]]] = []
        self.tokens: list[str | None] = []
        self.held: dict[str, asyncio.Event] = {}
        self.reached = asyncio.Event()
        self.changed = asyncio.Event()
        self.is_indenting = False
        self.is_old = False
        self.answers_after_s = 0.0
        self.most_abreast = 0
        self._abreast = 0
        self.url = ""

    def add(self, *listings: Listing) -> None:
        self.listings.extend(listings)

    def fail(self, path: str, fault: Fault) -> None:
        self.faults.setdefault(path, []).append(fault)

    def hold(self, path: str) -> None:
        """Answer ``path`` only after ``release``; ``reached`` is set when it is asked for."""
        self.held[path] = asyncio.Event()

    def tell(self) -> None:
        """Report a change to every watch that runs."""
        self.changed.set()
        self.changed = asyncio.Event()

    def kubeconfig(self, directory: Path, user: dict[str, Any] | None = None) -> Path:
        path = directory / "kubeconfig"
        document = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "it",
            "contexts": [{"name": "it", "context": {"cluster": "it", "user": "me"}}],
            "clusters": [{"name": "it", "cluster": {"server": self.url}}],
            "users": [{"name": "me", "user": user or {}}],
        }
        path.write_text(yaml.safe_dump(document))
        return path

    @asynccontextmanager
    async def running(self) -> AsyncIterator["ListServer"]:
        app = web.Application()
        app.router.add_get("/{path:.*}", self._answer)
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        host, port = runner.addresses[0][:2]
        self.url = f"http://{host}:{port}"
        try:
            yield self
        finally:
            for event in (*self.held.values(), self.changed):
                event.set()
            await runner.cleanup()

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        query = dict(request.query)
        self.requests.append((request.path, query))
        self.tokens.append(request.headers.get("Authorization"))
        if request.path in self.held:
            self.reached.set()
            await self.held[request.path].wait()
        if self.answers_after_s:
            self._abreast += 1
            self.most_abreast = max(self.most_abreast, self._abreast)
            await asyncio.sleep(self.answers_after_s)
            self._abreast -= 1
        fault = self._due(request.path, query)
        if fault is not None and fault.status == 0:
            assert request.transport is not None
            request.transport.close()
            return web.Response(status=500)
        if fault is not None:
            metadata = {"continue": fault.continue_} if fault.continue_ else {}
            return self._json(
                {"kind": "Status", "metadata": metadata, "message": fault.message},
                fault.status,
                fault.headers,
            )
        if query.get("watch") == "1":
            return await self._watch(request)
        return self._route(request.path, query, request.headers.get("Accept", ""))

    async def _watch(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await self.changed.wait()
        with suppress(ConnectionResetError):  # nobody listens any more
            await response.write(b'{"type":"MODIFIED","object":{}}\n')
        return response

    def _due(self, path: str, query: dict[str, str]) -> Fault | None:
        for fault in self.faults.get(path, []):
            if fault.times > 0 and ("continue" in query or not fault.only_with_token):
                fault.times -= 1
                return fault
        return None

    def _route(self, path: str, query: dict[str, str], accept: str) -> web.Response:
        if path == "/version":
            return self._json({"gitVersion": "v1.99.0"})
        if path == "/api/v1/namespaces/kube-system":
            return self._json({"metadata": {"name": "kube-system", "uid": "cluster-uid"}})
        if path in {"/api", "/apis"}:
            if self.is_old or "APIGroupDiscoveryList" not in accept:
                return self._json({"kind": "APIVersions" if path == "/api" else "APIGroupList"})
            return self._json(self._discovery(is_legacy=path == "/api"))
        for listing in self.listings:
            namespace = _namespace_in(path, listing)
            if path == f"{listing.root}/{listing.resource}" or namespace is not None:
                return self._page(listing, namespace, query)
        return self._single(path)

    def _single(self, path: str) -> web.Response:
        for listing in self.listings:
            for one in listing.objects:
                if path == _path_of(one, listing):
                    typed = {"apiVersion": listing.api_version, "kind": listing.kind}
                    return self._json(typed | one)
        return self._json({"kind": "Status", "message": "no such resource"}, 404)

    def _page(self, listing: Listing, namespace: str | None, query: dict[str, str]) -> web.Response:
        objects = listing.objects
        if namespace is not None:
            objects = [one for one in objects if one["metadata"].get("namespace") == namespace]
        if "fieldSelector" in query:
            wanted = query["fieldSelector"].removeprefix("metadata.name=")
            objects = [one for one in objects if one["metadata"]["name"] == wanted]
        begin = int(query.get("continue", "0"))
        end = begin + int(query["limit"])
        metadata = {"resourceVersion": "1000"}
        if end < len(objects):
            metadata["continue"] = str(end)
        head = {"kind": f"{listing.kind}List", "apiVersion": listing.api_version}
        own = {} if listing.is_typed else {"apiVersion": listing.api_version, "kind": listing.kind}
        items = [own | one for one in objects[begin:end]]
        if listing.is_typed:
            return self._json({**head, "metadata": metadata, "items": items})
        return self._json({"apiVersion": head["apiVersion"], "items": items, "metadata": metadata})

    def _discovery(self, *, is_legacy: bool) -> Object:
        groups: dict[str, dict[str, list[Object]]] = {}
        for listing in self.listings:
            if (listing.group == "") is is_legacy:
                versions = groups.setdefault(listing.group, {})
                versions.setdefault(listing.version, []).append(
                    {
                        "resource": listing.resource,
                        "responseKind": {"kind": listing.kind},
                        "scope": "Namespaced" if listing.is_namespaced else "Cluster",
                        "verbs": list(listing.verbs),
                    }
                )
        if not is_legacy:
            for group, version in self.stale:
                groups.setdefault(group, {}).setdefault(version, [])
        items = [
            {
                "metadata": {"name": group},
                "versions": [
                    {
                        "version": version,
                        "resources": resources,
                        "freshness": "Stale" if (group, version) in self.stale else "Current",
                    }
                    for version, resources in versions.items()
                ],
            }
            for group, versions in groups.items()
        ]
        return {"kind": "APIGroupDiscoveryList", "items": items}

    def _json(
        self, body: Object, status: int = 200, headers: dict[str, str] | None = None
    ) -> web.Response:
        indent = 2 if self.is_indenting else None
        text = json.dumps(body, indent=indent, separators=None if indent else (",", ":"))
        return web.Response(
            text=text + "\n", status=status, headers=headers, content_type="application/json"
        )


def _path_of(one: Object, listing: Listing) -> str:
    metadata = one["metadata"]
    place = f"/namespaces/{metadata['namespace']}" if "namespace" in metadata else ""
    return f"{listing.root}{place}/{listing.resource}/{metadata['name']}"


def _namespace_in(path: str, listing: Listing) -> str | None:
    begin, end = f"{listing.root}/namespaces/", f"/{listing.resource}"
    if path.startswith(begin) and path.endswith(end):
        return path.removeprefix(begin).removesuffix(end)
    return None
