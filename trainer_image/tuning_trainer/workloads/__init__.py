"""What can be learned: each workload is one file with one function, `make_workload(parameters)`.

Your own is a Python file like the others here, given by its path: `workload: /workloads/mine.py`. It may define a class
`Parameters`, a frozen dataclass derived from `tuning_trainer.parameters.Parameters`, to have more of them.
"""
