"""The in-cluster engine: serves the backup API for Kubernetes objects."""
