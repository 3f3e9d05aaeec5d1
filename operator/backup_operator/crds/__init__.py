"""CustomResourceDefinitions and their reference pages, generated from the resource models."""

from backup_operator.crds.build import build_crds
from backup_operator.crds.render import render_crds, write_crds

__all__ = ["build_crds", "render_crds", "write_crds"]
