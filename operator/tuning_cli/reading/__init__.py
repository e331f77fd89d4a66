"""From files, other tools' exports and the cluster to the values that the rules look at."""
