"""Is training unstable above the best learning rate, and what cures it (K08, K14 to K16)."""
