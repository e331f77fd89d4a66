"""manifests/policy: the admission policies, for the namespace and service account of the kustomize base."""

from pathlib import Path

from hack.generate.files import Files, yaml_text
from hack.generate.rbac import labels
from tuning_operator.api.policies import ServiceAccount, admission_policies

PATH = Path("manifests/policy/policies.yaml")
SOURCE = "operator/tuning_operator/api/policies.py"


def policies() -> Files:
    """Return one file with both policies and their bindings."""
    return {PATH: yaml_text(admission_policies(ServiceAccount(), labels=labels("policy")), SOURCE)}
