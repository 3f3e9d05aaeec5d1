"""One suite for every server of the API: the fake appliance and the in-cluster engine."""
