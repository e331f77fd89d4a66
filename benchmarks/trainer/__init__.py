"""What the trainer costs against a plain PyTorch loop, and what training many trials in one process saves."""
