"""Everything in the repository that is written by a program: `make generate` writes it, `make verify` compares.

A generator is a function without arguments that returns the files it is responsible for. To add one, write it beside
the others and name it in `registry.py`.
"""

import sys

from hack.paths import ROOT

# The generators import the project, whose source root is not on the path where only the checkout is.
sys.path.append(str(ROOT / "operator"))
