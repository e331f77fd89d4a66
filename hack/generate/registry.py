"""The generators, in one list."""

from hack.generate.api_docs import api_docs
from hack.generate.chart import chart
from hack.generate.crds import crds
from hack.generate.dashboards import dashboards
from hack.generate.files import Files, Generator
from hack.generate.playbook_map import playbook_map
from hack.generate.policies import policies
from hack.generate.rbac import roles
from hack.generate.scraping import scraping

GENERATORS: tuple[Generator, ...] = (api_docs, chart, crds, dashboards, playbook_map, policies, roles, scraping)


def all_files() -> Files:
    """Return every generated file.

    Raises:
        ValueError: two generators claim one file.
    """
    files: Files = {}
    for generator in GENERATORS:
        made = generator()
        claimed = files.keys() & made.keys()
        if claimed:
            raise ValueError(
                f"{generator.__name__} makes what another generator makes too: {sorted(map(str, claimed))}"
            )
        files |= made
    return files
