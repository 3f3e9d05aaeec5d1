"""The published OpenAPI document, and what schemathesis makes of it."""
