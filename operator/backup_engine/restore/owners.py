"""Links restored objects to their owners, whose uids are new.

An owner reference with the uid of the captured cluster would let the garbage collector delete the
object at once. So a reference gets the owner's uid of today, or is left out.
"""

from collections.abc import Collection

from backup_engine.restore.errors import WriteRefusedError
from backup_engine.restore.identity import KubeObject
from backup_engine.restore.live import LiveCluster
from backup_engine.restore.serving import ServedKinds

OwnerName = tuple[str, str, str | None, str]


class Owners:
    """Old uids and what became of them; works for a plan and for its application alike."""

    def __init__(self, live: LiveCluster, expected: Collection[str]) -> None:
        self._live = live
        self._expected = set(expected)
        self._settled: dict[str, str] = {}
        self._found: dict[OwnerName, str | None] = {}
        self.settlements = 0  # grows whenever a waiting object might go on

    def settle(self, old_uid: str, uid: str) -> None:
        """Note that the object captured with ``old_uid`` has (or, planned, will have) ``uid``."""
        self._expected.discard(old_uid)
        self._settled[old_uid] = uid
        self.settlements += 1

    def give_up(self, old_uid: str) -> None:
        """Note that the restore itself does not bring back the object captured as ``old_uid``."""
        if old_uid in self._expected:
            self._expected.discard(old_uid)
            self.settlements += 1

    def give_up_all(self) -> None:
        """Wait for no owner any more."""
        self._expected.clear()

    async def relink(self, one: KubeObject, served: ServedKinds) -> KubeObject | None:
        """Return ``one``, already under its new namespace, with owners of today.

        None: an owner is still to come, ask again later. An owner that neither the restore nor the
        cluster has is left out.
        """
        references = one["metadata"].get("ownerReferences")
        if not references:
            return one
        if any(reference.get("uid") in self._expected for reference in references):
            return None
        linked = []
        for reference in references:
            uid = self._settled.get(reference.get("uid", ""))
            if uid is None:
                uid = await self._find(reference, one["metadata"].get("namespace"), served)
            if uid is not None:
                linked.append({**reference, "uid": uid})
        metadata = {**one["metadata"], "ownerReferences": linked}
        if not linked:
            del metadata["ownerReferences"]
        return {**one, "metadata": metadata}

    async def _find(
        self, reference: KubeObject, namespace: str | None, served: ServedKinds
    ) -> str | None:
        """Return the uid of the live owner of that kind and name, None if there is none."""
        kind = served.find_owner(reference.get("apiVersion", ""), reference.get("kind", ""))
        if kind is None or kind.is_coming:
            return None
        place = namespace if kind.kind.is_namespaced else None
        name = (kind.kind.group, kind.kind.kind, place, str(reference.get("name")))
        if name not in self._found:
            try:
                owner = await self._live.find(kind.kind, place, name[3])
            except WriteRefusedError:  # not allowed to look, so the link cannot be made
                owner = None
            self._found[name] = owner["metadata"]["uid"] if owner is not None else None
        return self._found[name]
