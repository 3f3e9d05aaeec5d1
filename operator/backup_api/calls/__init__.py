"""The calls of the client, one class per feature; BackupApiClient puts them together."""
