"""Command: the verb `doctor`, which makes all checks at once and prints the page."""

import json
import logging
import os
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from jarvis_ear import paths
from jarvis_ear.backend import Session, session_of
from jarvis_ear.config import Config
from jarvis_ear.delivery.timeouts import Timing
from jarvis_ear.devices import portaudio_process
from jarvis_ear.doctor import backend_checks, bundle, checks, machine_checks
from jarvis_ear.doctor.checks import CHECKS, Results
from jarvis_ear.doctor.sound_checks import sound_results
from jarvis_ear.doctor.storage_checks import storage_results
from jarvis_ear.errors import ConfigError
from jarvis_ear.mute import Mute, QuietHours
from jarvis_ear.options.load import DEFAULT
from jarvis_ear.options.verbs import print_text
from jarvis_ear.process import NamedThread
from jarvis_ear.schema import Loaded

GROUP_S: Final = 60.0
"""Seconds until the page is printed without the checks that are unfinished: more than the sum of
the time-outs of each group that can come together."""

ASK_S: Final = 10.0
"""Time-out of the questions to the running ear and to the service manager."""

CREDENTIALS: Final = Path("/run/credentials/jarvis-ear.service")
"""Where the service manager keeps the credentials of the running service, for root to read."""


def doctor(load: Callable[[], Loaded], *, as_json_line: bool, bundle_file: Path | None) -> int:
    """Make all checks, print the page and write the bundle; return the exit status.

    ``load`` reads the configuration, or raises ``ConfigError``.
    """
    logging.getLogger("jarvis_ear").addHandler(logging.NullHandler())  # the page tells it
    if "CREDENTIALS_DIRECTORY" not in os.environ and os.access(CREDENTIALS, os.R_OK | os.X_OK):
        os.environ["CREDENTIALS_DIRECTORY"] = str(CREDENTIALS)
    loaded, found = None, []
    try:
        loaded = load()
    except ConfigError as error:
        found = str(error).splitlines()
    facts, unit = _asked()
    if not facts.holds_devices and not machine_checks.is_active(
        unit
    ):  # its process ends with the thread that starts it
        portaudio_process.for_input().start()
    results = examine(loaded, found, facts, unit)
    if as_json_line:
        print_text(json.dumps(checks.as_json(results)) + "\n")
    else:
        is_terminal = sys.stdout.isatty()
        colour = is_terminal and not os.environ.get("NO_COLOR")
        columns = shutil.get_terminal_size().columns if is_terminal else 0
        print_text(checks.page(results, colour=colour, columns=columns))
    if bundle_file is not None:
        members = bundle.write_bundle(bundle_file, results, loaded, facts.report, unit)
        sys.stderr.write(f"jarvis-ear: {bundle_file} holds {', '.join(members)}; read it first\n")
    return checks.exit_status(results)


def _asked() -> tuple[machine_checks.EarFacts, Mapping[str, str] | None]:
    facts, unit = machine_checks.EarFacts(refusal="it does not answer"), None
    try:
        facts = checks.within(ASK_S, machine_checks.ear_facts)
        unit = checks.within(ASK_S, machine_checks.unit_facts)
    except TimeoutError:
        pass
    return facts, unit


def examine(
    loaded: Loaded | None,
    found: list[str],
    facts: machine_checks.EarFacts,
    unit: Mapping[str, str] | None,
) -> Results:
    """Make all checks, three groups at the same time; return the lines in their order.

    ``found``: the mistakes with which the configuration could not be loaded.
    """
    config = Config() if loaded is None else loaded.config
    has_service = (unit or {}).get("LoadState") == "loaded"
    is_service = has_service and not (unit or {}).get(machine_checks.MANAGER)
    knows_password = not has_service or (loaded is not None and _is_known(loaded.origins))
    is_satellite = config.backend.protocol == "wyoming"
    session = None if loaded is None else _session(config)
    url = "" if session is None or is_satellite else session.address
    here = [
        _settled(loaded, found, knows_password=knows_password),
        machine_checks.judge_ear(facts, url),
        machine_checks.judge_unit(unit, ear_runs=facts.report is not None),
    ]
    runs = facts.holds_devices or machine_checks.is_active(unit)
    groups: list[Iterator[Results]] = [
        iter(here),
        storage_results(config.spool, is_service=is_service, ear_runs=runs),
        sound_results(
            None if loaded is None else config,
            facts.report,
            is_held=runs,
            muted=_is_muted(config, is_service=is_service),
        ),
    ]
    if loaded is not None:
        groups.append(
            backend_checks.backend_results(
                config, session, facts.report, knows_password=knows_password
            )
        )
    results = _together(groups)
    return checks.ordered(results + _missing(results, is_loaded=loaded is not None))


def _settled(loaded: Loaded | None, found: list[str], *, knows_password: bool) -> Results:
    if loaded is None:
        return machine_checks.judge_configuration(found, [], "")
    return checks.attempt(
        "configuration",
        machine_checks.LOOK_S,
        lambda: machine_checks.configuration_results(loaded, knows_password=knows_password),
    )


def _together(groups: Sequence[Iterator[Results]], limit_s: float = GROUP_S) -> Results:
    """Run each group in a thread; return the lines of all that are finished in time."""
    gathered: list[list[Results]] = [[] for _ in groups]
    threads = [
        NamedThread(target=lines.extend, args=(group,), name="doctor group", daemon=True)
        for group, lines in zip(groups, gathered, strict=True)
    ]
    for thread in threads:
        thread.start()
    ends = time.monotonic() + limit_s
    for thread in threads:
        thread.join(max(0.0, ends - time.monotonic()))
    return [result for lines in gathered for results in list(lines) for result in results]


def _missing(results: Results, *, is_loaded: bool) -> Results:
    """Return a line for each check that has none."""
    why = "not finished in time" if is_loaded else "the configuration has a mistake"
    made = {result.check for result in results}
    return checks.skip((check for check in CHECKS if check not in made), why)


def _session(config: Config) -> Session | None:
    try:
        return session_of(config.backend, Timing())
    except ConfigError:  # a line of the check "configuration"
        return None


def _is_known(origins: Mapping[str, str]) -> bool:
    """Whether a password or a token is given to this process, and not only to the service."""
    return any(origins[key] != DEFAULT for key in ("backend.password", "backend.token"))


def _is_muted(config: Config, *, is_service: bool) -> bool:
    """Whether the owner or the clock wants the microphone closed; also if that cannot be read."""
    folder = paths.SERVICE_STATE if is_service else paths.state_folder(os.environ)
    return Mute(folder, QuietHours.parse(config.microphone.mute_between)).load()
