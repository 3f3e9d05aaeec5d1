"""``/metrics``, ``/healthz`` and ``/readyz`` over plain HTTP."""

import contextlib
import logging
from collections.abc import AsyncIterator, Callable
from typing import Final

from aiohttp import web
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder

from backup_operator.errors import ExpectedError
from backup_operator.metrics.health import Vitals, find_ailments

UNAVAILABLE: Final = 503

logger = logging.getLogger(__name__)


def build_application(
    registry: CollectorRegistry, read_vitals: Callable[[], Vitals]
) -> web.Application:
    """Build the web application; a scrape reads ``registry``, a probe ``read_vitals``."""

    async def metrics(request: web.Request) -> web.Response:
        encode, content_type = choose_encoder(request.headers.get("Accept", ""))
        return web.Response(body=encode(registry), headers={"Content-Type": content_type})

    async def health(_: web.Request) -> web.Response:
        return _verdict(find_ailments(read_vitals()))

    async def readiness(_: web.Request) -> web.Response:
        return _verdict([] if read_vitals().has_seen_all else ["not every object has been seen"])

    application = web.Application()
    application.add_routes(
        [
            web.get("/metrics", metrics),
            web.get("/healthz", health),
            web.get("/readyz", readiness),
        ]
    )
    return application


def _verdict(ailments: list[str]) -> web.Response:
    if ailments:
        return web.Response(text="\n".join(ailments) + "\n", status=UNAVAILABLE)
    return web.Response(text="ok\n")


@contextlib.asynccontextmanager
async def served(application: web.Application, address: str, port: int) -> AsyncIterator[None]:
    """Serve for the length of the block; raises ExpectedError if the port cannot be had."""
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    try:
        try:
            await web.TCPSite(runner, address, port).start()
        except OSError as trouble:
            where = f"{address}:{port}"
            raise ExpectedError(f"metrics cannot be served on {where}: {trouble}") from trouble
        for bound in runner.addresses:
            logger.info("metrics on http://%s:%s/metrics", *bound[:2])
        yield
    finally:
        await runner.cleanup()
