"""Commands around the reading of volumes: in which pods, in which container, how they ended. Pure.

The protocol is the one of ``kubectl exec``: a byte that names the channel, then what belongs to it.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from backup_engine.host_definition import HookDefinition
from backup_engine.volumes.errors import VolumeError

# v5 only adds how to end the standard input, which no hook has; v4 every version understands
PROTOCOL: Final = "v4.channel.k8s.io"
STDERR: Final = 2
ENDED: Final = 3
KEPT_CHARACTERS: Final = 500
MOST_PODS: Final = 50

_DEFAULT_CONTAINER: Final = "kubectl.kubernetes.io/default-container"
_EXIT_CODE: Final = "ExitCode"
_CONTROL: Final = re.compile(r"[^\S\n]+|[\x00-\x09\x0b-\x1f\x7f]")
_SECRETS: Final = (
    (re.compile(r"(://)[^/\s@]+@"), r"\1***@"),
    (
        re.compile(
            r"((?:password|passwd|pwd|secret|token|api_?key)\w*[\"']?\s*[=:]\s*)\S+", re.IGNORECASE
        ),
        r"\1***",
    ),
)


class _Cause(msgspec.Struct, frozen=True):
    reason: str = ""
    message: str = ""


class _Details(msgspec.Struct, frozen=True):
    causes: tuple[_Cause, ...] | None = None


class _Status(msgspec.Struct, frozen=True):
    status: str
    message: str = ""
    details: _Details | None = None


@dataclass(frozen=True, slots=True)
class CommandEnd:
    """How a command ended; no exit code: it could not be run, for what ``message`` says."""

    exit_code: int | None
    stderr: str = ""
    message: str | None = None

    @property
    def is_good(self) -> bool:
        """Whether it did what it was asked."""
        return self.exit_code == 0


@dataclass(frozen=True, slots=True)
class HookPod:
    """One pod, and the container of it, that a hook is run in."""

    namespace: str
    name: str
    container: str

    def __str__(self) -> str:
        return f"pod {self.namespace}/{self.name}, container {self.container}"


def choose_pods(hook: HookDefinition, pods: Iterable[Mapping[str, Any]]) -> tuple[HookPod, ...]:
    """Choose the pods that a hook is run in, by name; raises VolumeError if there are none."""
    running = [
        pod
        for pod in pods
        if (pod.get("status") or {}).get("phase") == "Running"
        and "deletionTimestamp" not in pod["metadata"]
    ]
    if not running:
        raise VolumeError(
            "NoPod", f"namespace {hook.namespace}: no running pod has the labels of its selector"
        )
    if len(running) > MOST_PODS:
        raise VolumeError(
            "TooManyPods",
            f"namespace {hook.namespace}: {len(running)} pods have the labels of its selector, and"
            f" a hook runs in {MOST_PODS} at most",
        )
    chosen = (
        HookPod(hook.namespace, pod["metadata"]["name"], hook.container or _find_container(pod))
        for pod in running
    )
    return tuple(sorted(chosen, key=lambda each: each.name))


def parse_end(text: bytes, stderr: str) -> CommandEnd:
    """Read what the last channel says: a Status, with the exit code among its causes."""
    try:
        status = msgspec.json.decode(text, type=_Status)
    except (msgspec.DecodeError, msgspec.ValidationError) as trouble:
        return CommandEnd(None, stderr, f"the kubelet's answer is not understood: {trouble}")
    if status.status == "Success":
        return CommandEnd(0, stderr)
    causes = (status.details.causes if status.details is not None else None) or ()
    for cause in causes:
        if cause.reason == _EXIT_CODE and cause.message.isascii() and cause.message.isdigit():
            return CommandEnd(int(cause.message), stderr)
    return CommandEnd(None, stderr, shorten(status.message) or "the command could not be run")


def shorten(text: str) -> str:
    """Return the end of what a program said, in one readable piece, less what looks secret."""
    plain = _CONTROL.sub(" ", text).strip()
    for pattern, shown in _SECRETS:
        plain = pattern.sub(shown, plain)
    return plain[-KEPT_CHARACTERS:]


def explain_end(end: CommandEnd) -> str:
    """Say in words how a command ended that did not do what it was asked."""
    what = end.message or f"exit code {end.exit_code}"
    return f"{what}: {end.stderr}" if end.stderr else what


def _find_container(pod: Mapping[str, Any]) -> str:
    named = (pod["metadata"].get("annotations") or {}).get(_DEFAULT_CONTAINER)
    first = next(iter(pod["spec"].get("containers") or ()), {"name": ""})
    return str(named or first["name"])
