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
    ours = {"JARVIS_EAR_HEARING__ENDPOINTING__HANGOVER_MS": "700", "HOME": "/"}
    ours |= {"JARVIS_EAR_MICROPHONE__FAST": "1", "JARVIS_EAR_HEARING__WAKE__MODEL": ""}
    layer = read_environment(ours)
    assert layer.problems == []
    values = {"hearing.endpointing.hangover_ms": 700, "microphone.fast": True}
    assert layer.values == values | {"hearing.wake.model": None}
    assert layer.origins["microphone.fast"] == "environment: JARVIS_EAR_MICROPHONE__FAST"


NONE, HIDDEN = "there is no such option", "given a value that is not shown"
THRESHOLD = f"{NONE}; did you mean JARVIS_EAR_HEARING__WAKE__THRESHOLD?"


@pytest.mark.parametrize(
    ("name", "text", "problem"),
    [
        ("HEARING__WAKE__TRESHOLD", "0.4", THRESHOLD),
        ("HEARING_WAKE_THRESHOLD", "0.4", THRESHOLD),
        ("TRESHOLD", "0.4", THRESHOLD),
        ("NOPE", "1", NONE),
        ("SPOILER", "1", NONE),
        ("HEARING", "{}", NONE),
        ("LOG__LEVEL", "loud", 'given "loud", expected one of debug, info, warning, error'),
        ("BACKEND__FRESH_S", "", 'given "", expected a whole number from 5 to 120'),
        ("BACKEND__CONNECT_S", "nan", 'given "nan", expected a number from 0.5 to 60'),
        ("BACKEND__PASSWORD", "", f"{HIDDEN}, expected at least one character"),
    ],
)
def test_a_mistake_is_named_with_what_was_expected(name, text, problem):
    (said,) = read_environment({f"JARVIS_EAR_{name}": text}).problems
    assert said.startswith(f"environment: JARVIS_EAR_{name}: {problem}")


def test_the_names_of_the_owner():
    layer = read_shared_variables(
        {"BACKEND_URL": "http://a:1", "JARVIS_PASSWORD": "hunter2", "AGENT_ID": "kitchen"}
    )
    assert layer.values == {
        "backend.url": "http://a:1",
        "backend.password": SecretStr("hunter2"),
        "backend.agent_id": "kitchen",
    }
    assert layer.origins["backend.url"] == "environment: BACKEND_URL"
    layer = read_shared_variables({"BACKEND_URL": "", "JARVIS_PASSWORD": "", "AGENT_ID": ""})
    assert (layer.values, layer.problems) == ({}, [])
    (problem,) = read_shared_variables({"BACKEND_URL": "localhost:4000"}).problems
    assert problem.startswith('environment: BACKEND_URL: given "localhost:4000", expected http://')


def test_a_credential_is_a_secret_or_a_mistake(tmp_path):
    (tmp_path / "jarvis-password").write_text("hunter2\n")
    layer = read_credentials({"CREDENTIALS_DIRECTORY": str(tmp_path)})
    assert layer.values == {"backend.password": SecretStr("hunter2")}
    assert layer.origins == {"backend.password": "credential: jarvis-password"}
    for folder in ({}, {"CREDENTIALS_DIRECTORY": ""}, {"CREDENTIALS_DIRECTORY": "/elsewhere"}):
        layer = read_credentials(folder)
        assert (layer.values, layer.problems) == ({}, [])
    environ = {"CREDENTIALS_DIRECTORY": str(tmp_path)}
    (tmp_path / "jarvis-password").write_text("")
    assert read_credentials(environ).problems == [
        "credential: jarvis-password: cannot be used: it is empty, expected a password"
    ]
    (tmp_path / "jarvis-password").unlink()
    (tmp_path / "jarvis-password").symlink_to("jarvis-password")
    (problem,) = read_credentials(environ).problems
    assert problem.startswith("credential: jarvis-password: cannot be used: Too many levels")
