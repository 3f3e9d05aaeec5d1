"""Put many Backups into a sandbox at once: copies of one that the API server has stored."""

import json
import uuid
from typing import Any, Final

from appliance.hosts import CONSOLE, DATA_HOST
from etcd_storage import Storage, chunks
from fixtures.population import place
from fixtures.scene import Scene

REGISTRY: Final = "/registry/backup-operator.io/backups"

Json = Any


async def place_many(
    scene: Scene, storage: Storage, engine_uid: str, count: int, *, finished: bool
) -> None:
    """Put ``count`` Backups and their records there, as if they had always been."""
    if not count:
        return
    await place(scene, engine_uid, 0, finished=finished)
    word = "ended" if finished else "runs"
    first = json.loads(await storage.read(f"{REGISTRY}/{scene.namespace}/{word}-0"))
    for numbers in chunks(range(1, count)):
        values = {}
        for number in numbers:
            name = f"{word}-{number}"
            record = scene.appliance.add_backup(
                name,
                status="SUCCESS" if finished else "IN_PROGRESS",
                host_id=CONSOLE if finished else DATA_HOST,
                initiated_by="API_user: operator",
            )
            copied = json.dumps(copy(first, name, record), separators=(",", ":"))
            values[f"{REGISTRY}/{scene.namespace}/{name}"] = copied.encode()
        await storage.write(values)


def copy(stored: Json, name: str, record_id: int) -> Json:
    """Copy a stored Backup to another name and record."""
    status = stored["status"]
    return {
        **stored,
        "metadata": {**stored["metadata"], "name": name, "uid": str(uuid.uuid4())},
        "spec": {**stored["spec"], "name": name},
        "status": {
            **status,
            "id": record_id,
            "name": name,
            "submission": {**status["submission"], "requestedName": name},
        },
    }
