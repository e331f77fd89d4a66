"""How long to train, how large a batch, and what a longer round takes over (K17, K18, K20, K21)."""
