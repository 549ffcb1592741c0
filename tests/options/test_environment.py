from functools import partial

import pytest
from pydantic import SecretStr

from jarvis_ear.options import sources
from jarvis_ear.schema import SCHEMA

OPTIONS = SCHEMA.options
read_environment = partial(sources.read_environment, SCHEMA)
read_shared_variables = partial(sources.read_shared_variables, SCHEMA)
read_credentials = partial(sources.read_credentials, SCHEMA)


def test_every_option_has_its_variable():
    variables = {option.variable for option in OPTIONS}
    assert len(variables) == len(OPTIONS)
    assert {"JARVIS_EAR_HEARING__ENDPOINTING__HANGOVER_MS", "JARVIS_EAR_WITH_BACKEND"} <= variables


def test_our_names():
    layer = read_environment(
        {
            "JARVIS_EAR_HEARING__ENDPOINTING__HANGOVER_MS": "700",
            "JARVIS_EAR_MICROPHONE__FAST": "1",
            "JARVIS_EAR_HEARING__WAKE__MODEL": "",
            "HOME": "/",
        }
    )
    assert layer.problems == []
    assert layer.values == {
        "hearing.endpointing.hangover_ms": 700,
        "microphone.fast": True,
        "hearing.wake.model": None,
    }
    assert layer.origins["microphone.fast"] == "environment: JARVIS_EAR_MICROPHONE__FAST"


@pytest.mark.parametrize(
    ("name", "text", "problem"),
    [
        (
            "JARVIS_EAR_HEARING__WAKE__TRESHOLD",
            "0.4",
            "there is no such option; did you mean JARVIS_EAR_HEARING__WAKE__THRESHOLD?",
        ),
        (
            "JARVIS_EAR_HEARING_WAKE_THRESHOLD",
            "0.4",
            "there is no such option; did you mean JARVIS_EAR_HEARING__WAKE__THRESHOLD?",
        ),
        ("JARVIS_EAR_NOPE", "1", "there is no such option"),
        (
            "JARVIS_EAR_TRESHOLD",
            "0.4",
            "there is no such option; did you mean JARVIS_EAR_HEARING__WAKE__THRESHOLD?",
        ),
        ("JARVIS_EAR_SPOILER", "1", "there is no such option"),
        ("JARVIS_EAR_HEARING", "{}", "there is no such option"),
        (
            "JARVIS_EAR_LOG__LEVEL",
            "loud",
            'given "loud", expected one of debug, info, warning, error',
        ),
        ("JARVIS_EAR_BACKEND__FRESH_S", "", 'given "", expected a whole number from 5 to 120'),
        ("JARVIS_EAR_BACKEND__CONNECT_S", "nan", 'given "nan", expected a number from 0.5 to 60'),
        (
            "JARVIS_EAR_BACKEND__PASSWORD",
            "",
            "given a value that is not shown, expected at least one character",
        ),
    ],
)
def test_mistakes(name, text, problem):
    (said,) = read_environment({name: text}).problems
    assert said.startswith(f"environment: {name}: {problem}")


def test_the_owners_names():
    layer = read_shared_variables(
        {"BACKEND_URL": "http://a:1", "JARVIS_PASSWORD": "hunter2", "AGENT_ID": "kitchen"}
    )
    assert layer.values == {
        "backend.url": "http://a:1",
        "backend.password": SecretStr("hunter2"),
        "backend.agent_id": "kitchen",
    }
    assert layer.origins["backend.url"] == "environment: BACKEND_URL"


def test_the_owners_names_count_as_not_set_when_empty():
    layer = read_shared_variables({"BACKEND_URL": "", "JARVIS_PASSWORD": "", "AGENT_ID": ""})
    assert (layer.values, layer.problems) == ({}, [])


def test_a_wrong_address_is_a_mistake_of_its_variable():
    (problem,) = read_shared_variables({"BACKEND_URL": "localhost:4000"}).problems
    assert problem.startswith('environment: BACKEND_URL: given "localhost:4000", expected http://')


def test_a_credential(tmp_path):
    (tmp_path / "jarvis-password").write_text("hunter2\n")
    layer = read_credentials({"CREDENTIALS_DIRECTORY": str(tmp_path)})
    assert layer.values == {"backend.password": SecretStr("hunter2")}
    assert layer.origins == {"backend.password": "credential: jarvis-password"}


@pytest.mark.parametrize("folder", [None, "", "elsewhere"])
def test_no_credential(tmp_path, folder):
    environ = {} if folder is None else {"CREDENTIALS_DIRECTORY": folder and str(tmp_path / folder)}
    layer = read_credentials(environ)
    assert (layer.values, layer.problems) == ({}, [])


def test_credentials_that_cannot_be_used(tmp_path):
    environ = {"CREDENTIALS_DIRECTORY": str(tmp_path)}
    (tmp_path / "jarvis-password").touch()
    assert read_credentials(environ).problems == [
        "credential: jarvis-password: cannot be used: it is empty, expected a password"
    ]
    (tmp_path / "jarvis-password").unlink()
    (tmp_path / "jarvis-password").symlink_to("jarvis-password")
    (problem,) = read_credentials(environ).problems
    assert problem.startswith("credential: jarvis-password: cannot be used: Too many levels")
