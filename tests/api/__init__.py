"""The client of the backup API, against the fake appliance."""
