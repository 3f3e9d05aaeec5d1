"""The operator: custom resources become calls of the backup API, and their answers statuses."""
