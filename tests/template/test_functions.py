from dataclasses import fields

import pytest

from jaas_archive.settings import AuditorSettings, DownloaderSettings, EnricherSettings, ReceiverSettings
from tests.template.translated import ROOT, folder_of, names, properties, resources, source, the_one

FUNCTIONS = names("AWS::Lambda::Function")
LAYERS = names("AWS::Lambda::LayerVersion")
_SETTINGS = {
    "ReceiverFunction": ReceiverSettings,
    "DownloaderFunction": DownloaderSettings,
    "TranscriptEnricherFunction": EnricherSettings,
    "AuditorFunction": AuditorSettings,
}
_LONGEST_ANSWER_OF_HTTP_API_SECONDS = 30


def _camel_case(name: str) -> str:
    return "".join(word.capitalize() for word in name.split("_"))


def test_every_folder_of_functions_is_a_function_and_the_other_way_round() -> None:
    folders = {app.parent.relative_to(ROOT).as_posix() for app in ROOT.glob("functions/*/app.py")}
    assert {folder_of(function) for function in FUNCTIONS} == folders


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_function_is_named_after_its_folder(function: str) -> None:
    assert function == _camel_case(folder_of(function).removeprefix("functions/")) + "Function"


@pytest.mark.parametrize("function", FUNCTIONS)
def test_the_environment_is_what_the_settings_read(function: str) -> None:
    variables = {
        name for name in properties(function)["Environment"]["Variables"] if not name.startswith("POWERTOOLS_")
    }
    assert variables == {field.name.upper() for field in fields(_SETTINGS[function])}


@pytest.mark.parametrize("function", FUNCTIONS)
def test_powertools_is_told_who_speaks(function: str) -> None:
    variables = properties(function)["Environment"]["Variables"]
    powertools = {name: value for name, value in variables.items() if name.startswith("POWERTOOLS_")}
    assert powertools == {
        "POWERTOOLS_SERVICE_NAME": folder_of(function).removeprefix("functions/"),
        "POWERTOOLS_METRICS_NAMESPACE": {"Fn::Sub": "JaasArchive/${AWS::StackName}"},
        "POWERTOOLS_LOG_LEVEL": "INFO",
    }


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_variable_that_names_a_resource_leads_to_that_resource(function: str) -> None:
    """DOWNLOAD_QUEUE_URL is the URL of DownloadQueue."""
    for name, value in properties(function)["Environment"]["Variables"].items():
        words, _, suffix = name.rpartition("_")
        if suffix in {"URL", "ARN", "NAME"} and words != "POWERTOOLS_SERVICE" and value:
            assert the_one(value) == _camel_case(words)


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_variable_that_is_a_choice_of_the_admin_comes_from_the_parameter(function: str) -> None:
    variables = source()["Resources"][function]["Properties"]["Environment"]["Variables"]
    for name, value in variables.items():
        if (parameter := _camel_case(name)) in source()["Parameters"]:
            assert value == {"Ref": parameter}


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_function_runs_app_handler_on_python_3_13(function: str) -> None:
    assert (properties(function)["Handler"], properties(function)["Runtime"]) == ("app.handler", "python3.13")


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_function_has_both_layers(function: str) -> None:
    layers = [folder_of(the_one(layer)) for layer in properties(function)["Layers"]]
    assert layers == ["layers/dependencies", "layers/jaas_archive"]


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_function_says_what_it_does(function: str) -> None:
    assert properties(function)["Description"].endswith(".")


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_function_does_not_trace(function: str) -> None:
    """Tracing needs a permission on every resource."""
    assert "TracingConfig" not in properties(function)


def test_the_receiver_ends_before_api_gateway_answers_in_its_place() -> None:
    assert properties("ReceiverFunction")["Timeout"] < _LONGEST_ANSWER_OF_HTTP_API_SECONDS


@pytest.mark.parametrize("architecture", ["arm64", "x86_64"])
def test_the_architecture_is_a_parameter(architecture: str) -> None:
    functions = resources("AWS::Lambda::Function", Architecture=architecture).values()
    assert [function["Properties"]["Architectures"] for function in functions] == [[architecture]] * len(FUNCTIONS)


@pytest.mark.parametrize("layer", LAYERS)
def test_a_layer_runs_on_either_architecture(layer: str) -> None:
    assert properties(layer)["CompatibleArchitectures"] == ["arm64", "x86_64"]


def test_packages_of_others_are_installed_by_our_own_rules() -> None:
    """The rules of `sam build` let wheels in whose hash nobody asked for."""
    methods = {
        name: resource["Metadata"]["BuildMethod"]
        for name, resource in source()["Resources"].items()
        if resource["Type"] == "AWS::Serverless::LayerVersion"
    }
    assert methods == {"DependenciesLayer": "makefile", "JaasArchiveLayer": "python3.13"}


@pytest.mark.parametrize("layer", LAYERS)
def test_two_stacks_of_one_account_do_not_share_the_name_of_a_layer(layer: str) -> None:
    assert "${AWS::StackName}" in properties(layer)["LayerName"]["Fn::Sub"]
