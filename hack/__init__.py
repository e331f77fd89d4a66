"""The local Kubernetes that the README's first command and the tests run on: see hack/README.md."""
