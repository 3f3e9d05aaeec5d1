"""Where binaries come from, and how a damaged one is noticed."""

import os
from pathlib import Path

import pytest

from backup_sandbox.binaries import ensure_binaries, find_assets, find_cached
from backup_sandbox.cache import SUMS, BinaryCache, cache_root
from backup_sandbox.errors import BinaryError
from backup_sandbox.progress import run_step
from backup_sandbox.versions import (
    APISERVER,
    BINARIES,
    CONTROLLERS,
    ETCD_BINARY,
    KOPIA,
    KOPIA_BINARY,
    KUBECTL,
    Platform,
    needed_binaries,
    this_platform,
)

LINUX = Platform("linux", "amd64")


def executable(path: Path, content: str = "#!/bin/sh\n") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)
    path.chmod(0o755)
    return path


def a_cache(root: Path, *names: str) -> BinaryCache:
    cache = BinaryCache(root / "backup-sandbox", this_platform())
    for name in names:
        cache.install(name, executable(cache.root / f"ready-{name}", f"the cached {name}"))
    return cache


def overwrite(path: Path, content: str) -> None:
    """Change the content only: same length, same time."""
    before = path.stat()
    assert len(content) == before.st_size
    path.write_text(content)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def test_the_cache_folder_names_versions_and_platform() -> None:
    assert LINUX.folder == "kubernetes-1.36.3-etcd-3.6.8-linux-amd64"


def test_a_new_version_of_a_tool_leaves_the_other_binaries_in_the_cache(tmp_path: Path) -> None:
    cache = a_cache(tmp_path, ETCD_BINARY, KOPIA_BINARY)

    assert cache.find(KOPIA_BINARY) == cache.folder_of(KOPIA_BINARY) / KOPIA_BINARY
    assert LINUX.folder_of(KOPIA_BINARY) == f"kopia-{KOPIA}-linux-amd64"
    assert cache.find(ETCD_BINARY) == cache.folder / ETCD_BINARY


def test_only_a_sandbox_with_controllers_needs_their_binary() -> None:
    assert set(needed_binaries(controllers=True)) == set(BINARIES)
    assert set(needed_binaries(controllers=False)) == set(BINARIES) - {CONTROLLERS}


def test_the_cache_follows_the_xdg_rules() -> None:
    home = Path.home() / ".cache" / "backup-sandbox"

    assert cache_root({"XDG_CACHE_HOME": "/var/cache"}) == Path("/var/cache/backup-sandbox")
    assert cache_root({}) == home
    assert cache_root({"XDG_CACHE_HOME": ""}) == home
    assert cache_root({"XDG_CACHE_HOME": "relative/path"}) == home


def test_assets_come_before_the_cache_binary_by_binary(tmp_path: Path) -> None:
    assets = tmp_path / "assets"
    for name in (APISERVER, ETCD_BINARY, KUBECTL):
        executable(assets / name)
    cache = a_cache(tmp_path, *BINARIES)
    environment = {"KUBEBUILDER_ASSETS": str(assets), "XDG_CACHE_HOME": str(tmp_path)}

    found = ensure_binaries(BINARIES, environment)

    assert {name for name, path in found.items() if path.parent == assets} == {
        APISERVER,
        ETCD_BINARY,
        KUBECTL,
    }
    assert found[CONTROLLERS] == cache.folder / CONTROLLERS


def test_a_file_that_cannot_be_run_is_no_asset(tmp_path: Path) -> None:
    executable(tmp_path / ETCD_BINARY).chmod(0o644)
    (tmp_path / KUBECTL).mkdir()

    assert find_assets([ETCD_BINARY, KUBECTL], {"KUBEBUILDER_ASSETS": str(tmp_path)}) == {}


def test_a_wrong_assets_folder_is_told_and_not_passed_over(tmp_path: Path) -> None:
    with pytest.raises(BinaryError, match=r"KUBEBUILDER_ASSETS names .*absent.* unset it"):
        find_assets([ETCD_BINARY], {"KUBEBUILDER_ASSETS": str(tmp_path / "absent")})


def test_a_sound_binary_is_found_in_the_cache(tmp_path: Path) -> None:
    cache = a_cache(tmp_path, ETCD_BINARY)

    found = find_cached([ETCD_BINARY, KUBECTL], {}, cache, is_thorough=True)

    assert found == {ETCD_BINARY: cache.folder / ETCD_BINARY}
    assert os.access(found[ETCD_BINARY], os.X_OK)


def test_a_truncated_binary_is_not_used(tmp_path: Path) -> None:
    cache = a_cache(tmp_path, ETCD_BINARY)
    os.truncate(cache.folder / ETCD_BINARY, 3)

    assert cache.find(ETCD_BINARY) is None


def test_a_touched_but_sound_binary_is_used(tmp_path: Path) -> None:
    cache = a_cache(tmp_path, ETCD_BINARY)
    os.utime(cache.folder / ETCD_BINARY, (0, 0))

    assert cache.find(ETCD_BINARY) == cache.folder / ETCD_BINARY


def test_a_change_that_hides_behind_size_and_time_is_found_by_verifying(tmp_path: Path) -> None:
    cache = a_cache(tmp_path, ETCD_BINARY)
    overwrite(cache.folder / ETCD_BINARY, "the CACHED etcd")

    assert cache.find(ETCD_BINARY) is not None
    assert cache.find(ETCD_BINARY, is_thorough=True) is None


def test_a_binary_without_a_recorded_sum_is_not_used(tmp_path: Path) -> None:
    cache = a_cache(tmp_path, ETCD_BINARY)
    executable(cache.folder / KUBECTL)

    assert cache.find(KUBECTL) is None


@pytest.mark.parametrize("damage", ["", "{", "[]", '{"etcd": {"sha256": "0"}}'])
def test_unreadable_sums_make_every_binary_untrusted(tmp_path: Path, damage: str) -> None:
    cache = a_cache(tmp_path, ETCD_BINARY)
    (cache.folder / SUMS).write_text(damage)

    assert cache.find(ETCD_BINARY) is None


def test_installing_anew_heals_a_damaged_binary(tmp_path: Path) -> None:
    cache = a_cache(tmp_path, ETCD_BINARY)
    os.truncate(cache.folder / ETCD_BINARY, 3)

    a_cache(tmp_path, ETCD_BINARY)

    assert cache.find(ETCD_BINARY, is_thorough=True) is not None


def test_scratch_left_by_a_killed_build_is_removed(tmp_path: Path) -> None:
    cache = a_cache(tmp_path, ETCD_BINARY)
    left = cache.root / "scratch-of-before"
    left.mkdir()

    with cache.scratch() as scratch:
        assert scratch.is_dir()
        assert not left.exists()
    assert not scratch.exists()


def test_a_failed_step_shows_the_end_of_its_output(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("of an earlier step\n")
    script = "for line in $(seq 40); do echo line-$line; done; exit 7"

    with pytest.raises(BinaryError, match="exit code 7") as failure:
        run_step("counting", ["/bin/sh", "-c", script], cwd=tmp_path, env={}, log=log)

    message = str(failure.value)
    assert "line-40" in message
    assert "line-20\n" not in message
    assert "earlier" not in message
    assert str(log) in message


def test_a_step_whose_program_is_missing_names_it(tmp_path: Path) -> None:
    with pytest.raises(BinaryError, match="counting: /no/such/program does not start"):
        run_step("counting", ["/no/such/program"], cwd=tmp_path, env={}, log=tmp_path / "log")
