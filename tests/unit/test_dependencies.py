"""What others made and runs on Lambda."""

import ast
import re
import tomllib
from collections.abc import Iterator
from importlib.metadata import packages_distributions, requires
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
REQUIREMENTS = (ROOT / "layers/dependencies/requirements.txt").read_text()
CHOSEN = {canonicalize_name(Requirement(line).name) for line in PROJECT["dependency-groups"]["functions"]}
INSTALLED = set(re.findall(r"^([\w-]+)==", REQUIREMENTS, re.MULTILINE))


def _imported_modules() -> Iterator[str]:
    for path in [*ROOT.glob("functions/*/app.py"), *ROOT.glob("layers/jaas_archive/**/*.py")]:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                yield from (name.name.partition(".")[0] for name in node.names)
            elif isinstance(node, ast.ImportFrom) and node.module:
                yield node.module.partition(".")[0]


def test_every_chosen_package_is_imported() -> None:
    distributions = packages_distributions()
    imported = {canonicalize_name(name) for module in _imported_modules() for name in distributions.get(module, [])}
    assert imported >= CHOSEN


def test_the_layer_holds_what_was_chosen_and_what_that_needs() -> None:
    needed = {
        canonicalize_name(requirement.name)
        for package in CHOSEN
        for requirement in map(Requirement, requires(package) or [])
        if not requirement.marker or requirement.marker.evaluate({"extra": ""})
    }
    assert needed | CHOSEN == INSTALLED


def test_every_package_of_the_layer_has_hashes() -> None:
    packages = re.split(r"^(?=[\w-]+==)", REQUIREMENTS, flags=re.MULTILINE)[1:]
    assert len(packages) == len(INSTALLED)
    assert [package for package in packages if "--hash=sha256:" not in package] == []
