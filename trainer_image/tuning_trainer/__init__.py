"""A trainer that the operator can run as a trial: small enough to read at one sitting, and honest about its ends.

`reporting` is also for other people's images: it needs tuning_contract and prometheus_client, and no PyTorch.
"""
