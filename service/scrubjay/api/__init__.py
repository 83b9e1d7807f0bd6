"""The HTTP service: routes, their schemas, and the errors they answer with."""
