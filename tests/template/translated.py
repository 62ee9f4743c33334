"""The template as CloudFormation sees it: translated by SAM's own translator, parameters and conditions filled in."""

import re
from collections.abc import Iterator, Mapping
from copy import deepcopy
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from samtranslator.parser.parser import Parser  # type: ignore[import-untyped]
from samtranslator.translator.translator import Translator  # type: ignore[import-untyped]
from samtranslator.yaml_helper import yaml_parse  # type: ignore[import-untyped]

ROOT = Path(__file__).parents[2]
DAY_SECONDS = 86_400

type Resource = dict[str, Any]


@cache
def source() -> dict[str, Any]:
    """template.yaml as it is written."""
    template: dict[str, Any] = yaml_parse((ROOT / "template.yaml").read_text())
    return template


@cache
def stack(**parameters: str) -> dict[str, Any]:
    """What CloudFormation makes with these parameters, and the defaults of the others."""
    template = deepcopy(source())
    for resource in template["Resources"].values():
        for name in ("CodeUri", "ContentUri"):
            if name in resource["Properties"]:
                resource["Properties"][name] = f"s3://artifacts/{resource['Properties'][name]}"
    values = {name: parameter["Default"] for name, parameter in template["Parameters"].items()} | parameters
    translator = Translator({}, Parser(), boto_session=SimpleNamespace(region_name="us-east-1"))
    translated = translator.translate(template, parameter_values=dict(values))
    filled: dict[str, Any] = _Filler(values, translated["Conditions"]).fill(translated)
    return filled


class _Filler:
    def __init__(self, parameters: Mapping[str, Any], conditions: Mapping[str, Any]) -> None:
        self._parameters = parameters
        self._conditions = conditions

    def fill(self, value: Any) -> Any:
        match value:
            case {"Ref": str(name)} if name in self._parameters:
                return self._parameters[name]
            case {"Fn::If": [condition, then, otherwise]}:
                return self.fill(then if self._holds(self._conditions[condition]) else otherwise)
            case dict():
                return {
                    name: filled
                    for name, element in value.items()
                    if not self._left_out(element) and (filled := self.fill(element)) != {"Ref": "AWS::NoValue"}
                }
            case list():
                return [filled for element in value if (filled := self.fill(element)) != {"Ref": "AWS::NoValue"}]
        return value

    def _left_out(self, element: Any) -> bool:
        """Whether this is a resource whose condition does not hold."""
        match element:
            case {"Type": str(), "Condition": str(condition)}:
                return not self._holds(self._conditions[condition])
        return False

    def _holds(self, condition: Any) -> bool:
        match condition:
            case {"Fn::Not": [inner]}:
                return not self._holds(inner)
            case {"Fn::Equals": [left, right]}:
                return str(self.fill(left)) == str(self.fill(right))
        raise NotImplementedError(condition)


def resources(kind: str, **parameters: str) -> dict[str, Resource]:
    """The resources of a type by logical id."""
    return {name: resource for name, resource in stack(**parameters)["Resources"].items() if resource["Type"] == kind}


def names(kind: str, **parameters: str) -> list[str]:
    """Logical ids of the resources of a type, for tests that are run for each."""
    found = sorted(resources(kind, **parameters))
    assert found, f"the template has no {kind}"
    return found


def properties(name: str, **parameters: str) -> dict[str, Any]:
    """The properties of a resource."""
    found: dict[str, Any] = stack(**parameters)["Resources"][name]["Properties"]
    return found


def referenced(value: Any) -> set[str]:
    """The logical ids that an expression mentions."""
    match value:
        case {"Ref": str(name)} | {"Fn::GetAtt": [str(name), *_]}:
            return {name}
        case {"Fn::Sub": str(text)}:
            return set(re.findall(r"\$\{(\w+)(?:\.\w+)?\}", text))
        case dict():
            return set().union(*map(referenced, value.values()))
        case list():
            return set().union(*map(referenced, value))
    return set()


def the_one(value: Any) -> str:
    """The only logical id that an expression mentions."""
    (name,) = referenced(value)
    return name


def as_list(value: Any) -> list[Any]:
    """IAM takes one value where it takes a list."""
    return value if isinstance(value, list) else [value]


def statements(value: Any) -> Iterator[dict[str, Any]]:
    """All policy statements somewhere in there, whatever kind of policy they are in."""
    match value:
        case {"Statement": found}:
            yield from as_list(found)
        case dict():
            for element in value.values():
                yield from statements(element)
        case list():
            for element in value:
                yield from statements(element)


def role_of(function: str) -> str:
    """The function's role."""
    return the_one(properties(function)["Role"])


def folder_of(resource: str) -> str:
    """The folder that a function or a layer is built from."""
    found = properties(resource)
    key: str = (found["Code"] if "Code" in found else found["Content"])["S3Key"]
    return key
