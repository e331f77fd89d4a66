"""Pure: rules that stop trials early, from their curves alone. One rule a module; `rules.py` is the door.

Only Search trials are handed in: a retrain or a probe answers a question that needs its whole curve, whatever it shows.
"""
