"""A real local Kubernetes control plane, for the demo, tests and benchmarks (architecture §4)."""

from backup_sandbox.errors import SandboxError
from backup_sandbox.sandbox import Sandbox, running_sandbox

__all__ = ["Sandbox", "SandboxError", "running_sandbox"]
