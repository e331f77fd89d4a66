"""What the training curves say (playbook: examining the training curves; issues with the training pipeline).

One module a question, each with `check(study)`, whose findings always answer it: Ok, a verdict, or Unknown. The
judgement of one curve is a function on arrays beside it; smaller values are better in all of them.
"""
