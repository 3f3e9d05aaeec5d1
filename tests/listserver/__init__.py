"""A small HTTP server that speaks discovery and paged LIST, with faults on demand.

Written from the Kubernetes API conventions, not from the code under test; what a real server does
is tested against the sandbox.
"""

from listserver.server import Fault, Listing, ListServer, a_config_map

__all__ = ["Fault", "ListServer", "Listing", "a_config_map"]
