"""Pure: from values to Kubernetes objects."""
