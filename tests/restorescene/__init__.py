"""A varied set of Kubernetes objects for the restore tests, all under one prefix."""

from restorescene.objects import Scene, build_crd, build_scene, make
from restorescene.stage import Stage

__all__ = ["Scene", "Stage", "build_crd", "build_scene", "make"]
