"""From figures as values to Plotly's JSON."""
