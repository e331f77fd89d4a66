"""Which scientific value won, whether the comparison was fair, and whether a change is to be adopted."""
