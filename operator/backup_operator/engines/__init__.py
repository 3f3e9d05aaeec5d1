"""The servers of the backup API: one link, one poller and one table of records for each."""
