"""Trouble that a message explains.

SandboxError
├── BinaryError           a binary, or the toolchain to build it, is found, fetched or built nowhere
├── NodeUnavailableError  this machine cannot carry a node
└── StartError            a component did not come up, or died
"""


class SandboxError(Exception):
    """Trouble that the message explains: what is wrong, and what to do about it."""


class BinaryError(SandboxError):
    """A binary, or the toolchain to build it, could not be found, fetched or built."""


class NodeUnavailableError(SandboxError):
    """This machine cannot carry a node; the message names all that is missing."""


class StartError(SandboxError):
    """A component did not become ready in time, or ended while others needed it."""
