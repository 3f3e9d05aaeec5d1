"""TLS of the server: what it shows to clients, and the certificates it makes itself."""
