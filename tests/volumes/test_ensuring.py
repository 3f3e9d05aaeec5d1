"""A deploy makes the repository of a host, and asks no more of one that is as it should be."""

import shutil
from pathlib import Path

import pytest

from backup_engine.volumes.files_policy import is_policy_set
from backup_engine.volumes.kopia import Kopia
from backup_engine.volumes.place import RepositoryPlaces
from backup_engine.volumes.repository import PASSWORD, Repository
from fixtures.volumes import HOST


class Watched:
    """A repository, and what its kopia was told to do."""

    def __init__(self, kopia: str, folder: Path) -> None:
        self._calls = folder / "calls"
        binary = folder / "kopia"
        binary.write_text(f'#!/bin/sh\necho "$1 $2" >> {self._calls}\nexec {kopia} "$@"\n')
        binary.chmod(0o700)
        place = RepositoryPlaces((folder / "repositories").as_uri()).find(2, HOST)
        assert place.directory is not None
        self.directory = place.directory
        home = folder / "home"
        self.repository = Repository(str(binary), place, HOST, "the-password", home)
        self._kopia = Kopia(kopia, home, {PASSWORD: "the-password"})

    async def ensure(self) -> list[str]:
        """Ensure it, and return the commands that this took."""
        self._calls.unlink(missing_ok=True)
        await self.repository.ensure()
        return self._calls.read_text().splitlines()

    async def change(self, *policy: str) -> None:
        """Change the policy behind the engine's back."""
        await self._kopia.ask("policy", "set", "--global", *policy)


@pytest.fixture
def watched(kopia: str, tmp_path: Path) -> Watched:
    return Watched(kopia, tmp_path)


async def test_a_deploy_does_what_a_repository_lacks_and_asks_once_of_one_that_lacks_nothing(
    watched: Watched,
) -> None:
    assert await watched.ensure() == ["repository create", "repository connect", "policy set"]
    assert await watched.ensure() == ["policy show"]

    await watched.change("--ignore-cache-dirs=true")
    assert (await watched.ensure())[-1] == "policy set"

    shutil.rmtree(watched.directory)
    assert await watched.ensure() == ["repository create", "repository connect", "policy set"]


@pytest.mark.parametrize("told", [b"", b"[]", b'{"files": 7}', b"{}"])
def test_a_policy_that_is_not_understood_is_not_as_wanted(told: bytes) -> None:
    assert not is_policy_set(told)
