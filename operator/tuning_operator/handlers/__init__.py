"""The only modules that import kopf: doors, not rooms."""
