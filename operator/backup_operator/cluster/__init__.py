"""The Kubernetes API as the operator uses it: access, requests, the cache, events."""
