"""The custom resources: pydantic models, their conditions, and the names and labels of everything we create."""
