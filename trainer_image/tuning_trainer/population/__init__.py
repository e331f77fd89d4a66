"""Population mode: k trials of the same shape in one process on one device, each reported as the trial that it is.

A small model leaves most of a GPU idle and most of a CPU core's time in the interpreter. Here the weights of k of them
are one matrix with a row each, and every operation of a step works on all rows at once (`torch.func.vmap`). No
operation mixes rows: a member's numbers are functions of its own parameters and seed, whatever runs beside it.
"""
