"""Is the search space right? Its edges, where training fails, how densely it was sampled, and what in it matters."""
