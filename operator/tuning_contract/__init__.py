"""What the operator and a trial's container promise each other.

Environment in, metrics and a final record out, an exit code at the end. Both images carry this package, so it stands
on the standard library alone. Each name is spelled once, and the function that writes a thing stands beside the one
that reads it.
"""

CONTRACT_VERSION = 1
