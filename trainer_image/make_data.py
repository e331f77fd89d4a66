"""Write the data sets that the trainer ships, from where they come from; nothing else in this project needs these.

Run it with Python 3.13.5 and scikit-learn 1.9.1, with which the shipped files were made:

    python trainer_image/make_data.py

- digits.npz: the test set of "Optical Recognition of Handwritten Digits" by E. Alpaydin and C. Kaynak, UCI Machine
  Learning Repository, 1998, https://doi.org/10.24432/C50P49, CC BY 4.0, as scikit-learn carries it. Nothing is changed
  but the type: brightness 0 to 16 and labels 0 to 9 fit in a byte.
- tabular.npz: "Breast Cancer Wisconsin (Diagnostic)" by W. Wolberg, O. Mangasarian, N. Street and W. Street, UCI
  Machine Learning Repository, 1993, https://doi.org/10.24432/C5DW2B, CC BY 4.0, as scikit-learn carries it, unchanged.
- characters.npz: the topics of Python's own help(), pydoc_data.topics, one after the other in alphabetical order:
  Copyright © 2001 Python Software Foundation, PSF License Version 2. The text differs between versions of Python, which
  is why it is shipped and not read from the interpreter: trials must be comparable.

The data of the `regression` workload are computed, by tuning_trainer/workloads/regression.py.
"""

from pathlib import Path
from pydoc_data.topics import topics

import numpy as np
from sklearn.datasets import load_breast_cancer, load_digits

DATA = Path(__file__).parent / "tuning_trainer" / "workloads"


def write_digits() -> None:
    digits = load_digits()
    np.savez_compressed(
        DATA / "digits.npz", images=digits.images.astype(np.uint8), labels=digits.target.astype(np.uint8)
    )


def write_tabular() -> None:
    cancer = load_breast_cancer()
    np.savez_compressed(
        DATA / "tabular.npz", features=cancer.data.astype(np.float32), labels=cancer.target.astype(np.uint8)
    )


def write_characters() -> None:
    text = "\n".join(topics[name] for name in sorted(topics))
    np.savez_compressed(DATA / "characters.npz", utf8=np.frombuffer(text.encode(), np.uint8))


if __name__ == "__main__":
    write_digits()
    write_tabular()
    write_characters()
