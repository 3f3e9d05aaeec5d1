"""The capture: discover, list, split and store the API objects of a cluster (architecture §3)."""
