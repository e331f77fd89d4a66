"""Who competes. Each peer gets our transforms, the running trials, and both ways to handle failures that it has."""
