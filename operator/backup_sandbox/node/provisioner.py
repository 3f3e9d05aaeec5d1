"""The provisioner of a node's storage class: a folder for each claim, removed with it.

Started by the supervisor with what it needs as JSON. It keeps nothing in memory: each round lists
what is there and does what is missing, so that a killed one is simply started again.
"""

import http.client
import json
import shutil
import ssl
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from backup_sandbox.node.volumes import Order, plan_volumes

INTERVAL_S = 0.3
TIMEOUT_S = 5.0
CLAIMS = "/api/v1/persistentvolumeclaims?resourceVersion=0"
VOLUMES = "/api/v1/persistentvolumes"
FOLDER_MODE = (
    0o777  # the kubelet applies no fsGroup to such a volume: any user must be able to write
)
FINE = (http.HTTPStatus.OK, http.HTTPStatus.CREATED, http.HTTPStatus.CONFLICT)


class Provisioner:
    """Brings the folders and volumes in line with the claims, again and again."""

    def __init__(self, order: Order) -> None:
        self._context = ssl.create_default_context(cafile=order.authority)
        self._context.load_cert_chain(order.certificate, order.key)
        self._server = urlsplit(order.server)
        self._folder = Path(order.folder)

    def run_forever(self) -> None:
        """Do round after round; what fails is told and tried again in the next."""
        while True:
            try:
                self.run_once()
            except (OSError, http.client.HTTPException, ValueError) as problem:
                _log(f"{type(problem).__name__}: {problem}")
            time.sleep(INTERVAL_S)

    def run_once(self) -> None:
        """Do what the claims and volumes of now call for."""
        volumes = self._request("GET", f"{VOLUMES}?resourceVersion=0")["items"]
        work = plan_volumes(self._request("GET", CLAIMS)["items"], volumes, self._folder)
        for volume in work.create:
            path = Path(volume["spec"]["hostPath"]["path"])
            path.mkdir(exist_ok=True)  # before the volume: a pod may start the moment that exists
            path.chmod(FOLDER_MODE)
            self._request("POST", VOLUMES, volume)
            _log(f"created {path.name}")
        for name in work.delete:
            path = self._folder / name
            if path.exists():
                shutil.rmtree(path)
            self._request("DELETE", f"{VOLUMES}/{name}")
            _log(f"deleted {name}")

    def _request(self, method: str, path: str, body: object = None) -> dict[str, Any]:
        connection = http.client.HTTPSConnection(
            self._server.hostname or "", self._server.port, timeout=TIMEOUT_S, context=self._context
        )
        try:
            headers = {"Content-Type": "application/json", "Accept": "application/json"}
            connection.request(method, path, json.dumps(body) if body else None, headers)
            answer = connection.getresponse()
            content = answer.read()
        finally:
            connection.close()
        is_gone = method == "DELETE" and answer.status == http.HTTPStatus.NOT_FOUND
        if answer.status not in FINE and not is_gone:
            raise OSError(f"{method} {path}: {answer.status} {content[:300]!r}")
        found: dict[str, Any] = json.loads(content)
        return found


def main(arguments: Sequence[str]) -> None:
    """Run until killed."""
    Provisioner(Order.from_json(arguments[0])).run_forever()


def _log(line: str) -> None:
    sys.stderr.write(f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ} {line}\n")
    sys.stderr.flush()


if __name__ == "__main__":
    main(sys.argv[1:])
