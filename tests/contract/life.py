"""The life of backups, restores, settings and deploys, walked at random over HTTP.

A server's jobs end when they end; ``outcomes.py`` says what that leaves open: exactly one answer
wherever nothing runs. Which rules are drawn never depends on the server: a rule that finds nothing
to do does nothing, so that each walk is the same each time.
"""

import itertools
import time
from collections.abc import Mapping
from typing import Any, Protocol

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from contract.outcomes import (
    DONE,
    GONE,
    LEAVING,
    MAY_BECOME,
    NO,
    OPEN_RESTORE,
    PERHAPS,
    RESTORE_MAY_BECOME,
    RUNNING,
    RUNNING_RESTORE,
    YES,
    Answer,
    KnownRestore,
    either,
    open_outcomes,
    pick,
)
from contract.replies import Reply
from contract.servers import (
    BACKUPS,
    CONFIG,
    DEPLOY,
    RESTORES,
    SCHEDULED,
    STAGED_SCHEDULED,
    unique_name,
)

STAGED_MEMBER = "data_backup_priority"  # one that no other test here looks at
WORDS = ("LOW", "MEDIUM", "HIGH")
LOOK_AGAIN_S = 0.1
SETTLED_WITHIN_S = 100.0

LAST_PLACE = 3
PLACES = st.integers(0, LAST_PLACE)  # the newest of something is the place 0
ACTIONS = (
    *("create_backup", "wait", "create_restore", "launch_restore"),
    *("create_backup", "wait", "create_restore", "launch_restore"),
    *("delete_backup", "drop_restore", "stage", "deploy", "deploy"),
    *("describe_backup", "lose_or_return_an_archive"),
)
"""Drawn by one rule: Hypothesis leaves some rules out of each walk, and few walks need them all."""


class Peer(Protocol):
    """A server of the API, and its archives."""

    def send(
        self,
        method: str,
        path: str,
        *,
        body: object = None,
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Reply:
        """Send one request; ``path`` is below ``/api``."""
        ...

    def lose_archive(self, record: Mapping[str, Any]) -> None:
        """Let the file of this backup vanish."""
        ...

    def return_archive(self, record: Mapping[str, Any]) -> None:
        """Bring it back."""
        ...


class Life(RuleBasedStateMachine):
    """Requests in any order, while jobs run; the model foretells statuses and codes."""

    def __init__(self, peer: Peer) -> None:
        super().__init__()
        self.peer = peer
        self.prefix = unique_name()
        self.serial = itertools.count(1)
        self.backups: dict[int, tuple[str, str]] = {}  # name, status when last seen
        self.restores: dict[int, KnownRestore] = {}
        self.lost: dict[str, Any] | None = None
        self.may_run_unseen = False  # a restore whose record was deleted
        self.original = self.staged = self.deployed = self.read_priority(SCHEDULED)
        self.deploying: str | None = None

    # what may be so by now

    @property
    def is_backing_up(self) -> Answer:
        return either(PERHAPS for _, status in self.backups.values() if status in RUNNING)

    @property
    def is_restoring(self) -> Answer:
        running = any(one.status in RUNNING_RESTORE for one in self.restores.values())
        return PERHAPS if running or self.may_run_unseen else NO

    @property
    def is_restore_open(self) -> Answer:
        return either(
            YES if one.status == "PENDING" else PERHAPS
            for one in self.restores.values()
            if one.status in OPEN_RESTORE
        )

    @property
    def is_pending_deploy(self) -> Answer:
        before = self.staged != self.deployed
        after = before if self.deploying is None else self.staged != self.deploying
        return frozenset({before, after})

    def exists(self, backup_id: int) -> Answer:
        if backup_id not in self.backups:
            return NO
        return PERHAPS if self.backups[backup_id][1] in LEAVING else YES

    # what is done

    @rule(action=st.sampled_from(ACTIONS), place=PLACES)
    def act(self, action: str, place: int) -> None:
        getattr(self, action)(place)

    def create_backup(self, place: int) -> None:
        newest = pick(self.backups, 0)
        name = (
            self.backups[newest][0]
            if newest is not None and place == LAST_PLACE
            else f"{self.prefix}.{next(self.serial)}"
        )
        same = [backup_id for backup_id, known in self.backups.items() if known[0] == name]
        outcomes = open_outcomes(
            (1005, either(self.exists(backup_id) for backup_id in same)),
            (1016, self.is_restoring),
            (1015, self.is_backing_up),
            (1011, self.is_pending_deploy),
        )
        body = {"name": name, "configuration_id": 1}
        reply = self.peer.send("POST", BACKUPS, headers=CONFIG, body=body)
        code = self.meets(reply, 201, 409, outcomes)
        if code not in {1005, 1016}:
            self.may_run_unseen = False
        if code == DONE:
            assert reply.json["status"] == "INITIALIZING"
            self.backups[reply.json["id"]] = (name, "INITIALIZING")

    def describe_backup(self, place: int) -> None:
        backup_id = pick(self.backups, place)
        if backup_id is None:
            return
        words = f'place {place}, "é"'
        reply = self.peer.send("POST", f"{BACKUPS}/{backup_id}", body={"description": words})
        if self.meets(reply, 200, 404, self.unless_gone(backup_id)) == DONE:
            assert reply.json["description"] == words

    def delete_backup(self, place: int) -> None:
        backup_id = pick(self.backups, place)
        if backup_id is None:
            return
        name, status = self.backups[backup_id]
        reply = self.peer.send("DELETE", f"{BACKUPS}/{backup_id}")
        if status in LEAVING:
            assert reply.status in {404, 422}
            reply.assert_refused(reply.status, {404: 1001, 422: 1017}[reply.status])
            return
        became = reply.assert_is(202).json["status"]
        assert became in ({"CANCELLING", "DELETING"} if status in RUNNING else {"DELETING"})
        self.backups[backup_id] = (name, became)
        for restore in self.restores.values():
            if restore.backup_id == backup_id:
                restore.has_lost_backup = True

    def lose_or_return_an_archive(self, place: int) -> None:
        if self.lost is not None:
            lost, self.lost = self.lost, None
            if self.backups.get(lost["id"], ("", GONE))[1] == "MISSING":
                self.peer.return_archive(lost)
                self.becomes(lost["id"], "SUCCESS")
            return
        good = [i for i, (_, status) in self.backups.items() if status == "SUCCESS"]
        backup_id = pick(good, place)
        if backup_id is not None:
            self.lost = self.peer.send("GET", f"{BACKUPS}/{backup_id}").assert_is(200).json
            self.peer.lose_archive(self.lost)
            self.becomes(backup_id, "MISSING")

    def stage(self, place: int) -> None:
        self.stage_word(WORDS[place % len(WORDS)])

    def stage_word(self, word: str) -> None:
        reply = self.peer.send("POST", f"{STAGED_SCHEDULED}/1", body={STAGED_MEMBER: word})
        assert reply.assert_is(200).json[STAGED_MEMBER] == word
        self.staged = word
        self.look_at_settings()

    def deploy(self, place: int) -> None:
        self.deploy_type("FULL" if place == LAST_PLACE else "INCREMENTAL")

    def deploy_type(self, deploy_type: str) -> None:
        is_needed = YES if deploy_type == "FULL" else self.is_pending_deploy
        outcomes = open_outcomes(
            (1002, PERHAPS if self.deploying is not None else NO),
            (1004, frozenset(not needed for needed in is_needed)),
        )
        reply = self.peer.send("POST", DEPLOY, body={"type": deploy_type})
        code = self.meets(reply, 200, 409, outcomes)
        if code != 1002 and self.deploying is not None:
            self.deployed, self.deploying = self.deploying, None
        if code == DONE:
            self.deploying = self.staged

    def create_restore(self, place: int) -> None:
        good = [i for i, (_, status) in self.backups.items() if status == "SUCCESS"]
        backup_id = pick(good if place and good else self.backups, place)
        if backup_id is None:
            return
        status = self.backups[backup_id][1]
        exists = self.exists(backup_id)
        outcomes = open_outcomes(
            (1003, frozenset(not it for it in exists)),
            (1005, NO if status == "SUCCESS" else PERHAPS if status in RUNNING else YES),
            (1011, self.is_restore_open),
        )
        body = {"backup_id": backup_id, "groups": ["LICENSE_CONFIG"]}
        reply = self.peer.send("POST", RESTORES, body=body)
        refused = {1003: 422, 1005: 422, 1011: 409}
        code = reply.json.get("code", DONE)
        if self.meets(reply, 201, refused.get(code, 422), outcomes) == DONE:
            assert reply.json["status"] == "PENDING"
            self.restores[reply.json["id"]] = KnownRestore(backup_id)

    def launch_restore(self, place: int) -> None:
        restore_id = pick(self.restores, place // 2)
        if restore_id is None:
            return
        restore = self.restores[restore_id]
        outcomes = open_outcomes(
            (1012, NO if restore.status == "PENDING" else YES),
            (1015, self.is_backing_up),
            (1016, self.is_restoring),
        )
        body = {"status": "REQUESTING"}
        reply = self.peer.send("POST", f"{RESTORES}/{restore_id}", body=body)
        refused = 422 if reply.json.get("code") == 1012 else 409
        if self.meets(reply, 200, refused, outcomes) == DONE:
            assert reply.json["status"] == "REQUESTING"
            restore.status = "REQUESTING"
            self.may_run_unseen = False

    def drop_restore(self, place: int) -> None:
        restore_id = pick(self.restores, place)
        if restore_id is None:
            return
        status = self.restores[restore_id].status
        reply = self.peer.send("DELETE", f"{RESTORES}/{restore_id}")
        if status not in OPEN_RESTORE or (status != "PENDING" and reply.status != 204):
            reply.assert_refused(422, 1017)
            return
        assert reply.status == 204
        del self.restores[restore_id]
        self.may_run_unseen = self.may_run_unseen or status != "PENDING"

    def wait(self, _place: int) -> None:
        self.wait_for_the_end_of_all()

    def wait_for_the_end_of_all(self) -> None:
        deadline = time.monotonic() + SETTLED_WITHIN_S
        while self.is_busy:
            assert time.monotonic() < deadline, (self.backups, self.restores, self.deploying)
            time.sleep(LOOK_AGAIN_S)
            self.everything_is_what_it_can_have_become()

    # what must hold after each step

    @invariant()
    def everything_is_what_it_can_have_become(self) -> None:
        self.look_at_backups()
        self.look_at_restores()
        if self.deploying is not None:
            self.look_at_settings()

    def look_at_backups(self) -> None:
        query = {"filter": f'name like "{self.prefix}%"'}
        rows = self.peer.send("GET", BACKUPS, query=query).assert_is(200).json
        found = {row["id"]: row for row in rows}
        assert found.keys() <= self.backups.keys()
        for backup_id, (name, status) in list(self.backups.items()):
            row = found.get(backup_id, {"status": GONE, "name": name})
            assert row["name"] == name
            assert row["status"] in MAY_BECOME.get(status, {status}), (row, status)
            if row["status"] == GONE:
                del self.backups[backup_id]
            else:
                assert_consistent(row)
                self.backups[backup_id] = (name, row["status"])
        assert sum(row["status"] in RUNNING for row in rows) <= 1

    def look_at_restores(self) -> None:
        rows = self.peer.send("GET", RESTORES).assert_is(200).json
        found = {row["id"]: row for row in rows}
        for restore_id, restore in self.restores.items():
            row = found[restore_id]
            assert row["status"] in RESTORE_MAY_BECOME.get(restore.status, {restore.status}), row
            is_over = row["status"] not in OPEN_RESTORE
            assert (row["backup_id"] is None) is is_over
            assert (row["time_completed"] is not None) is is_over
            assert row["status"] != "FAILED" or restore.has_lost_backup, row
            restore.status = row["status"]
        assert sum(row["status"] in OPEN_RESTORE for row in rows) <= 1

    def look_at_settings(self) -> None:
        is_over = self.peer.send("GET", DEPLOY).assert_is(200).json["status"] == "COMPLETE"
        in_force = self.read_priority(SCHEDULED)
        if self.deploying is not None and is_over:
            self.deployed, self.deploying = self.deploying, None
        assert in_force in {self.deployed, self.deploying}
        assert self.deploying is not None or is_over
        assert self.read_priority(STAGED_SCHEDULED) == self.staged

    # helpers

    @property
    def statuses(self) -> set[str]:
        return {status for _, status in self.backups.values()}

    @property
    def is_busy(self) -> bool:
        is_restoring = any(one.status in RUNNING_RESTORE for one in self.restores.values())
        is_deploying = self.deploying is not None
        return bool(self.statuses & (RUNNING | LEAVING)) or is_restoring or is_deploying

    def read_priority(self, path: str) -> str:
        settings: dict[str, str] = self.peer.send("GET", f"{path}/1").assert_is(200).json
        return settings[STAGED_MEMBER]

    def unless_gone(self, backup_id: int) -> set[int]:
        return open_outcomes((1001, frozenset(not it for it in self.exists(backup_id))))

    def becomes(self, backup_id: int, status: str) -> None:
        deadline = time.monotonic() + SETTLED_WITHIN_S
        while True:
            row = self.peer.send("GET", f"{BACKUPS}/{backup_id}").assert_is(200).json
            if row["status"] == status:
                break
            assert time.monotonic() < deadline, row
            time.sleep(LOOK_AGAIN_S)
        self.backups[backup_id] = (row["name"], status)

    def meets(self, reply: Reply, success: int, refusal: int, outcomes: set[int]) -> int:
        """Check the answer against what is left open, and return its code."""
        code: int = DONE if reply.status == success else reply.json["code"]
        assert code in outcomes, (reply.status, reply.content, outcomes)
        if code != DONE:
            reply.assert_refused(refusal, code)
        return code

    def teardown(self) -> None:
        """Leave the server as it was, for it serves other tests, too."""
        if self.lost is not None:
            self.lose_or_return_an_archive(0)
        for restore_id, restore in list(self.restores.items()):
            if restore.status == "PENDING":
                assert self.peer.send("DELETE", f"{RESTORES}/{restore_id}").status == 204
                del self.restores[restore_id]
        self.wait_for_the_end_of_all()
        if self.staged != self.original:
            self.stage_word(self.original)
        if self.staged != self.deployed:
            self.deploy_type("INCREMENTAL")
            self.wait_for_the_end_of_all()
        deadline = time.monotonic() + SETTLED_WITHIN_S
        while self.may_run_unseen:  # only a request that it blocks tells when it is over
            assert time.monotonic() < deadline
            self.create_backup(0)
        self.wait_for_the_end_of_all()
        for backup_id in self.backups:
            self.peer.send("DELETE", f"{BACKUPS}/{backup_id}").assert_is(202)
            self.backups[backup_id] = (self.backups[backup_id][0], "DELETING")
        self.wait_for_the_end_of_all()


def assert_consistent(row: Mapping[str, Any]) -> None:
    """Check that the members of a backup fit its status (spec §3.0, §13 no. 2)."""
    if row["status"] in RUNNING:
        assert row["time_completed"] is None
        assert row["is_valid"] is False
    if row["status"] == "SUCCESS":
        assert row["is_valid"] is True
        assert row["time_completed"] >= row["time_initiated"]
        assert row["size_on_disk"] > 0
        assert row["content_file_path"]
    if row["status"] == "MISSING":
        assert row["is_valid"] is False
