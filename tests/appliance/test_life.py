"""The life of backups, restores, settings and deploys, walked at random against a model.

On the fake a test says when a job ends, so that the model can foretell every answer.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
)
from multidict import CIMultiDict, CIMultiDictProxy, MultiDict

from appliance import gate
from appliance.callers import Callers
from appliance.faults import Faults
from appliance.journal import Journal
from appliance.levers import Levers
from appliance.state import ApplianceState
from appliance.wire import Request
from contract.replies import Reply

BACKUPS = "/backup_and_restore/backups"
RESTORES = "/backup_and_restore/restores"
SCHEDULED = "/config/backup_and_restore/scheduled_backup_configurations"
STAGED_SCHEDULED = "/staged_config/backup_and_restore/scheduled_backup_configurations"
DEPLOY = "/staged_config/deploy_status"
DAY_MS = 86_400_000
RUNNING = {"INITIALIZING", "IN_PROGRESS"}
OPEN = {"PENDING", "REQUESTING", "INITIALIZING", "IN_PROGRESS"}
NAMES = st.sampled_from(["a", "b", "c"])


@dataclass
class ModelBackup:
    """What the model knows of a backup."""

    name: str
    status: str


@dataclass
class ModelRestore:
    """What the model knows of a restore."""

    backup_id: int
    status: str


def draw_id(data: st.DataObject, known: Iterable[int]) -> int:
    """Draw the id of something there."""
    return data.draw(st.sampled_from(sorted(known, reverse=True)))


class Life(RuleBasedStateMachine):
    """Requests and ends of jobs in any order; the model foretells every status and code."""

    def __init__(self) -> None:
        super().__init__()
        self.fake = Levers(ApplianceState(), Callers(), Faults(), Journal())
        self.fake.deletion_seconds = None
        self.fake.deploy_seconds = None
        self.backups: dict[int, ModelBackup] = {}
        self.restores: dict[int, ModelRestore] = {}
        self.unrecorded: list[ModelRestore] = []
        self.staged_days = self.deployed_days = 7
        for name in ("old", "older"):
            self.backups[self.fake.add_backup(name)] = ModelBackup(name, "SUCCESS")
        self.deploying_days: int | None = None

    def send(
        self,
        method: str,
        path: str,
        *,
        body: object = None,
        query: dict[str, str] | None = None,
        headers: dict[str, str] | None = None,
    ) -> Reply:
        raw = b"" if body is None else json.dumps(body).encode()
        sent = CIMultiDictProxy(CIMultiDict({"SEC": self.fake.token, **(headers or {})}))
        request = Request(method, f"/api{path}", MultiDict(query or {}), sent, {}, raw)
        answer = gate.answer(self.fake.state, self.fake.callers, request)
        told = {"Content-Type": "application/json", **answer.headers}
        return Reply(answer.status, told, json.dumps(answer.body).encode())

    @property
    def with_archive(self) -> list[int]:
        return [i for i, one in self.backups.items() if one.status in {"SUCCESS", "MISSING"}]

    @property
    def is_restoring(self) -> bool:
        every = [*self.restores.values(), *self.unrecorded]
        return any(one.status == "IN_PROGRESS" for one in every)

    @property
    def is_backing_up(self) -> bool:
        return any(one.status in RUNNING for one in self.backups.values())

    @rule(name=NAMES)
    def create_backup(self, name: str) -> None:
        body = {"name": name, "configuration_id": 1}
        reply = self.send("POST", BACKUPS, headers={"backup_type": "CONFIG"}, body=body)
        code = None
        if any(one.name == name for one in self.backups.values()):
            code = 1005
        elif self.is_restoring:
            code = 1016
        elif self.is_backing_up:
            code = 1015
        elif self.staged_days != self.deployed_days:
            code = 1011
        if code is not None:
            reply.assert_refused(409, code)
            return
        record = reply.assert_is(201).json
        self.backups[record["id"]] = ModelBackup(name, "IN_PROGRESS")

    @precondition(lambda self: self.is_backing_up)
    @rule(is_good=st.sampled_from([True, True, False]))
    def end_backup(self, is_good: bool) -> None:
        for backup_id, backup in self.backups.items():
            if backup.status in RUNNING:
                (self.fake.finish if is_good else self.fake.fail)(backup_id)
                backup.status = "SUCCESS" if is_good else "FAILED"

    @precondition(lambda self: self.with_archive)
    @rule(data=st.data())
    def lose_or_return_an_archive(self, data: st.DataObject) -> None:
        backup_id = data.draw(st.sampled_from(self.with_archive))
        backup = self.backups[backup_id]
        if backup.status == "SUCCESS":
            self.fake.lose_archive(backup_id)
            backup.status = "MISSING"
        else:
            self.fake.return_archive(backup_id)
            backup.status = "SUCCESS"

    @precondition(lambda self: self.backups)
    @rule(data=st.data())
    def delete_backup(self, data: st.DataObject) -> None:
        backup_id = draw_id(data, self.backups)
        reply = self.send("DELETE", f"{BACKUPS}/{backup_id}")
        backup = self.backups[backup_id]
        if backup.status in {"CANCELLING", "DELETING"}:
            reply.assert_refused(422, 1017)
        else:
            backup.status = "CANCELLING" if backup.status in RUNNING else "DELETING"
            assert reply.assert_is(202).json["status"] == backup.status

    @rule()
    def finish_deletions(self) -> None:
        self.fake.finish_deletions()
        leaving = {"CANCELLING", "DELETING"}
        self.backups = {i: one for i, one in self.backups.items() if one.status not in leaving}

    @rule(days=st.sampled_from([7, 7, 7, 8]), hours=st.integers(0, 23))
    def change_settings(self, days: int, hours: int) -> None:
        body = {"backup_retention_period": days * DAY_MS + hours * 3_600_000}
        reply = self.send("POST", f"{STAGED_SCHEDULED}/1", body=body)
        assert reply.assert_is(200).json["backup_retention_period"] == days * DAY_MS
        self.staged_days = days

    @precondition(lambda self: self.deploying_days in {None, self.staged_days})
    @rule(deploy_type=st.sampled_from(["INCREMENTAL", "FULL"]))
    def deploy(self, deploy_type: str) -> None:
        reply = self.send("POST", DEPLOY, body={"type": deploy_type})
        if self.deploying_days is not None:
            reply.assert_refused(409, 1002)
        elif deploy_type == "INCREMENTAL" and self.staged_days == self.deployed_days:
            reply.assert_refused(409, 1004)
        else:
            reply.assert_is(200)
            self.deploying_days = self.staged_days

    @precondition(lambda self: self.deploying_days is not None)
    @rule()
    def end_deploy(self) -> None:
        self.fake.finish_deploy()
        assert self.deploying_days is not None
        self.deployed_days, self.deploying_days = self.deploying_days, None

    @precondition(lambda self: self.backups and len(self.restores) < 8)
    @rule(data=st.data())
    def create_restore(self, data: st.DataObject) -> None:
        backup_id = draw_id(data, self.backups)
        body = {"backup_id": backup_id, "groups": ["LICENSE_CONFIG"]}
        reply = self.send("POST", RESTORES, body=body)
        backup = self.backups[backup_id]
        if backup.status != "SUCCESS":
            reply.assert_refused(422, 1005)
        elif any(one.status in OPEN for one in self.restores.values()):
            reply.assert_refused(409, 1011)
        else:
            record = reply.assert_is(201).json
            self.restores[record["id"]] = ModelRestore(backup_id, "PENDING")

    @precondition(lambda self: self.restores)
    @rule(data=st.data())
    def launch_restore(self, data: st.DataObject) -> None:
        restore_id = draw_id(data, self.restores)
        reply = self.send("POST", f"{RESTORES}/{restore_id}", body={"status": "REQUESTING"})
        restore = self.restores[restore_id]
        if restore.status != "PENDING":
            reply.assert_refused(422, 1012)
        elif self.is_backing_up:
            reply.assert_refused(409, 1015)
        elif self.is_restoring:
            reply.assert_refused(409, 1016)
        else:
            assert reply.assert_is(200).json["status"] == "REQUESTING"
            restore.status = "IN_PROGRESS"  # on the next look

    @precondition(lambda self: self.restores)
    @rule(data=st.data())
    def drop_restore(self, data: st.DataObject) -> None:
        restore_id = draw_id(data, self.restores)
        reply = self.send("DELETE", f"{RESTORES}/{restore_id}")
        restore = self.restores[restore_id]
        if restore.status not in OPEN:
            reply.assert_refused(422, 1017)
        else:
            assert reply.status == 204
            if self.restores.pop(restore_id).status == "IN_PROGRESS":
                self.unrecorded.append(restore)

    @precondition(lambda self: self.is_restoring)
    @rule(outcome=st.sampled_from(["SUCCESS", "FAILED"]))
    def end_restores(self, outcome: str) -> None:
        self.fake.restores.outcome = outcome
        self.fake.restores.restore_seconds = 0.0
        self.fake.state.settle()
        self.fake.restores.restore_seconds = None
        self.unrecorded.clear()
        for restore in self.restores.values():
            if restore.status == "IN_PROGRESS":
                restore.status = outcome if restore.backup_id in self.backups else "FAILED"

    @invariant()
    def lists_tell_what_the_model_knows(self) -> None:
        backups = self.send("GET", BACKUPS, query={"fields": "id,name,status"}).json
        restores = self.send("GET", RESTORES, query={"fields": "id,status"}).json
        known = [
            {"id": i, "name": one.name, "status": one.status} for i, one in self.backups.items()
        ]
        assert backups == known
        assert restores == [{"id": i, "status": one.status} for i, one in self.restores.items()]
        assert sum(one["status"] in OPEN for one in restores) <= 1

    @invariant()
    def both_views_of_the_settings_are_as_known(self) -> None:
        for path, days in ((SCHEDULED, self.deployed_days), (STAGED_SCHEDULED, self.staged_days)):
            settings_ = self.send("GET", f"{path}/1").assert_is(200).json
            assert settings_["backup_retention_period"] == days * DAY_MS
        status = self.send("GET", DEPLOY).json["status"]
        assert (status == "COMPLETE") is (self.deploying_days is None)


TestLife = Life.TestCase
TestLife.settings = settings(max_examples=50, stateful_step_count=40)
