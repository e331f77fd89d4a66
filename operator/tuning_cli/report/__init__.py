"""From an analysis to something that a person reads: figures as values, one HTML file, a text for terminals."""
