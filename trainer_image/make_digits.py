"""Write tuning_trainer/digits.npz, the trainer's data set, from scikit-learn's copy of it.

Run it where scikit-learn is installed (1.9.1 was used); nothing else in this project needs scikit-learn:

    python trainer_image/make_digits.py

The data are the test set of "Optical Recognition of Handwritten Digits" by E. Alpaydin and C. Kaynak, UCI Machine
Learning Repository, 1998, https://doi.org/10.24432/C50P49, licensed CC BY 4.0; scikit-learn (BSD-3-Clause) carries it
as `load_digits`. Nothing is changed but the type: brightness 0 to 16 and labels 0 to 9 fit in a byte.
"""

from pathlib import Path

import numpy as np
from sklearn.datasets import load_digits

if __name__ == "__main__":
    digits = load_digits()
    np.savez_compressed(
        Path(__file__).parent / "tuning_trainer" / "digits.npz",
        images=digits.images.astype(np.uint8),
        labels=digits.target.astype(np.uint8),
    )
