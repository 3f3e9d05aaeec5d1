"""These tests need the image, and a machine that can run pods: ``make e2e`` has looked for both.

They tell one story on one node, in the order in which run.py names the files.
"""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from backup_sandbox import running_sandbox
from backup_sandbox.node.addresses import Addresses
from backup_sandbox.state import State
from e2e.installation import Installation
from e2e.kubectl import Kubectl
from fixtures.s3_server import S3Server, find_weed, running_server

IMAGE = "BACKUP_E2E_IMAGE"

# `make test` must run anywhere, so it does not even collect them.
collect_ignore_glob = [] if IMAGE in os.environ else ["test_*.py"]


@pytest.fixture(scope="session")
def kubectl(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kubectl]:
    """A cluster with one node that has nothing but our image; nothing of it may stay."""
    root = tmp_path_factory.mktemp("e2e") / "sandbox"
    images = [Path(os.environ[name]) for name in (IMAGE, "BACKUP_E2E_APPLICATION")]
    with running_sandbox(root, node=True, audit=True, images=images) as sandbox:
        state = State.find(root / "state.json")
        assert state is not None
        yield Kubectl(sandbox)
    addresses = addresses_of(state)
    assert not Path("/sys/class/net", addresses.host_link).exists()
    assert list(Path("/sys/fs/cgroup").glob(f"**/{addresses.cgroup}")) == []
    assert str(root) not in Path("/proc/self/mountinfo").read_text()
    assert [process for process in state.processes if process.is_alive()] == []


@pytest.fixture(scope="session")
def installation(kubectl: Kubectl) -> Installation:
    """What is installed on it, and what its pods asked for."""
    kubectl("create", "namespace", "ops")  # where the README's Backup is
    return Installation(kubectl)


@pytest.fixture(scope="session")
def host(kubectl: Kubectl) -> str:
    """The address at which pods find servers of this machine."""
    state = State.find(kubectl.sandbox.root / "state.json")
    assert state is not None
    return str(addresses_of(state).host)


@pytest.fixture(scope="session")
def bucket(host: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """A real S3 server that pods reach, with the bucket that the overlays name."""
    weed = find_weed()
    assert weed is not None
    with running_server(weed, tmp_path_factory.mktemp("s3"), host) as server:
        server.make_bucket("backups")
        yield server


def addresses_of(state: State) -> Addresses:
    assert state.node_number is not None
    return Addresses(state.node_number)
