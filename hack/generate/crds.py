"""manifests/crd: the CustomResourceDefinitions, from the models."""

from pathlib import Path

from hack.generate.files import Files, yaml_text
from tuning_operator.api.base import GROUP
from tuning_operator.api.crd import definition
from tuning_operator.api.resources import RESOURCES

FOLDER = Path("manifests/crd")
SOURCE = "operator/tuning_operator/api"


def crds() -> Files:
    """Return one file for each custom resource."""
    return {
        FOLDER / f"{GROUP}_{resource.plural}.yaml": yaml_text([definition(resource)], SOURCE) for resource in RESOURCES
    }
