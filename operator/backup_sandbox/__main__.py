"""The command line: ``python -m backup_sandbox build | up | down``."""

import argparse
import os
import signal
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from types import FrameType

from backup_sandbox.binaries import ensure_binaries
from backup_sandbox.errors import SandboxError
from backup_sandbox.progress import say
from backup_sandbox.sandbox import (
    Options,
    Sandbox,
    running_sandbox,
    start_detached,
    stop_sandbox,
    wait_for_end,
)
from backup_sandbox.versions import BINARIES, ETCD, KUBERNETES, NODE_BINARIES, TOOLS

EXIT_TROUBLE = 3
EXIT_INTERRUPTED = 130
HIGHEST_PORT = 65535


def build_parser() -> argparse.ArgumentParser:
    """Build the parser of the three commands."""
    parser = argparse.ArgumentParser(
        prog="backup_sandbox",
        description=f"A real Kubernetes {KUBERNETES} control plane with etcd {ETCD} on 127.0.0.1.",
    )
    commands = parser.add_subparsers(required=True, metavar="build | up | down")

    build = commands.add_parser("build", help="fetch or build the binaries into the cache")
    build.add_argument("--verify", action="store_true", help="hash every cached binary anew")
    build.add_argument("--node", action="store_true", help="what a node runs as well")
    build.set_defaults(run=_build)

    up = commands.add_parser("up", help="start a sandbox, or find it running")
    up.add_argument("--dir", type=Path, required=True, metavar="D", help="the sandbox's folder")
    up.add_argument("--port", type=_port, metavar="P", help="the API server's port (any free one)")
    up.add_argument("--controllers", action="store_true", help="run kube-controller-manager too")
    up.add_argument("--audit", action="store_true", help="log every request in D/logs/audit.log")
    up.add_argument(
        "--node",
        action="store_true",
        help="run pods: a kubelet on containerd, in namespaces of its own (Linux, root)",
    )
    up.add_argument(
        "--image",
        type=_existing,
        action="append",
        default=[],
        metavar="FILE",
        help="archive of images for the node (docker-archive or OCI); may be repeated",
    )
    up.add_argument(
        "--crds",
        type=_existing,
        action="append",
        default=[],
        metavar="PATH",
        help="file or folder of CRDs to apply before the controllers start; may be repeated",
    )
    up.add_argument("--foreground", action="store_true", help="stay, and end it with this command")
    up.set_defaults(run=_up)

    down = commands.add_parser("down", help="stop a sandbox")
    down.add_argument("--dir", type=Path, required=True, metavar="D", help="the sandbox's folder")
    down.add_argument("--purge", action="store_true", help="delete its files as well")
    down.set_defaults(run=_down)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command: exit code 0 done, 2 wrong usage, 3 trouble that the message explains."""
    arguments = build_parser().parse_args(argv)
    try:
        arguments.run(arguments)
    except SandboxError as trouble:
        say(str(trouble))
        return EXIT_TROUBLE
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    return 0


def entry() -> None:
    """Run as a program."""
    signal.signal(signal.SIGTERM, _interrupt)
    sys.exit(main())


def _build(arguments: argparse.Namespace) -> None:
    wanted = (*BINARIES, *(NODE_BINARIES if arguments.node else ()), *TOOLS)
    found = ensure_binaries(wanted, os.environ, is_thorough=arguments.verify)
    for name, path in found.items():
        _print(f"{name}: {path}")


def _up(arguments: argparse.Namespace) -> None:
    if arguments.image and not arguments.node:
        raise SandboxError("--image is for a sandbox with a node: add --node")
    options = Options(
        arguments.port,
        arguments.controllers,
        arguments.audit,
        tuple(arguments.crds),
        arguments.node,
        tuple(arguments.image),
    )
    if not arguments.foreground:
        _print_access(start_detached(arguments.dir, options))
        return
    with running_sandbox(
        arguments.dir,
        port=options.port,
        controllers=options.controllers,
        audit=options.audit,
        crds=options.crds,
        node=options.node,
        images=options.images,
    ) as sandbox:
        _print_access(sandbox)
        with suppress(KeyboardInterrupt):  # the usual way to end it
            wait_for_end(sandbox)


def _down(arguments: argparse.Namespace) -> None:
    stop_sandbox(arguments.dir, purge=arguments.purge)


def _print_access(sandbox: Sandbox) -> None:
    _print(f"server: {sandbox.server}")
    _print(f"kubectl: {sandbox.kubectl}")
    _print(f"kubeconfig: {sandbox.kubeconfig}")  # the last line, for scripts


def _print(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def _port(text: str) -> int:
    port = int(text)
    if not 0 < port <= HIGHEST_PORT:
        raise argparse.ArgumentTypeError(f"{text} is no port: 1 to {HIGHEST_PORT}")
    return port


def _existing(text: str) -> Path:
    path = Path(text)
    if not path.exists():
        raise argparse.ArgumentTypeError(f"{text} does not exist")
    return path


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    entry()
