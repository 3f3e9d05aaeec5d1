"""Where a binary comes from: KUBEBUILDER_ASSETS, the cache, the envtest archive, a build."""

import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path

from backup_sandbox.cache import BinaryCache, cache_root
from backup_sandbox.envtest import fetch_envtest
from backup_sandbox.errors import BinaryError
from backup_sandbox.gobuild import compile_binaries
from backup_sandbox.progress import say
from backup_sandbox.toolchain import ensure_go, find_installer
from backup_sandbox.versions import ALL, this_platform

ASSETS = "KUBEBUILDER_ASSETS"


def user_cache(environment: Mapping[str, str]) -> BinaryCache:
    """Return the cache of this user for this platform."""
    return BinaryCache(cache_root(environment), this_platform())


def find_assets(names: Iterable[str], environment: Mapping[str, str]) -> dict[str, Path]:
    """Return those of ``names`` that KUBEBUILDER_ASSETS holds; raises BinaryError on a bad one."""
    named = environment.get(ASSETS)
    if not named:
        return {}
    folder = Path(named).absolute()
    if not folder.is_dir():
        raise BinaryError(f"{ASSETS} names {folder}, which is no folder: unset it or correct it")
    held = {name: shutil.which(name, path=str(folder)) for name in names}
    return {name: Path(path) for name, path in held.items() if path is not None}


def ensure_binaries(
    names: Iterable[str], environment: Mapping[str, str], *, is_thorough: bool = False
) -> dict[str, Path]:
    """Return the path of each of ``names``, fetching or building what no place holds yet.

    Each binary takes its own way down the chain, because the envtest archive lacks some.
    Raises SandboxError if one can be neither fetched nor built.
    """
    wanted = list(names)
    cache = user_cache(environment)
    found = find_assets(wanted, environment)
    found |= find_cached(wanted, found, cache, is_thorough=is_thorough)
    if len(found) < len(wanted):
        with cache.lock():
            # Once more: whoever held the lock before us may have filled the cache meanwhile.
            found |= find_cached(wanted, found, cache, is_thorough=is_thorough)
            missing = [name for name in ALL if name in wanted and name not in found]
            found |= _fill(cache, missing)
    return {name: found[name] for name in wanted}


def find_cached(
    names: Iterable[str], found: Mapping[str, Path], cache: BinaryCache, *, is_thorough: bool
) -> dict[str, Path]:
    """Return those of ``names`` that are not in ``found`` yet, but sound in the cache."""
    cached = {
        name: cache.find(name, is_thorough=is_thorough) for name in names if name not in found
    }
    return {name: path for name, path in cached.items() if path is not None}


def _fill(cache: BinaryCache, missing: list[str]) -> dict[str, Path]:
    if not missing:
        return {}
    for name in missing:
        if (damaged := cache.folder_of(name) / name).exists():
            say(f"{damaged} is damaged (its SHA-256 is not the recorded one) and will be replaced")
    with cache.scratch() as scratch:
        filled = _fetch(cache, missing, scratch)
        rest = [name for name in missing if name not in filled]
        if rest:
            go = ensure_go(cache, scratch, search_path=None, installer=find_installer())
            say(f"building {', '.join(rest)} with {go}; once, and some minutes in all")
            for name, ready in compile_binaries(rest, go, scratch, cache.build_log):
                filled[name] = cache.install(name, ready)
    return filled


def _fetch(cache: BinaryCache, missing: list[str], scratch: Path) -> dict[str, Path]:
    try:
        fetched = fetch_envtest(missing, this_platform(), scratch)
    except BinaryError as problem:
        say(f"{problem}; building from the Go modules instead")
        return {}
    return {name: cache.install(name, ready) for name, ready in fetched.items()}
