"""Search quality: our algorithms beside those that people use, on the same problems, in the same run."""
