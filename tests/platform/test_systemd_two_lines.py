"""README's two install lines, one after the other, under a real systemd; then what can go wrong."""

import re

import pytest

from fakes.installed_ear import CHECKOUT, wait_for

pytestmark = pytest.mark.long

UNIT = f"{CHECKOUT}/systemd/jarvis-ear.service"
BROKEN = "\nimport os\nif 'NOTIFY_SOCKET' in os.environ:\n    raise SystemExit(3)\n"


def loads(ear, service: str) -> set[str]:
    """Name the credentials that a running service has. They are there only while it runs."""
    folder = ear.box.at(f"/run/credentials/{service}.service")
    wait_for(folder.is_dir, f"{service} runs")
    return set(ear.box.run("ls", f"/run/credentials/{service}.service").stdout.split())


def password(ear, text: str) -> str:
    file = ear.box.at("/run/password")
    file.touch(mode=0o600)
    file.write_text(f"{text}\n")
    return "/run/password"


def wait_until_they_talk(ear) -> None:
    try:
        wait_for(lambda: ear.status().get("connected"), "ear and backend accept each other")
    except AssertionError as error:
        raise AssertionError(
            f"{error}\n{ear.log_text()}{ear.log_text('jarvis-backend')}"
        ) from error


def states(ear) -> tuple[str, str]:
    shown = ear.show("ActiveState", "UnitFileState")
    return shown["ActiveState"], shown["UnitFileState"]


def test_the_two_lines_give_services_that_accept_each_other(alone):
    file = password(alone, "what the owner typed")
    alone.build()
    said = alone.service("install", "--password-file", file)
    assert "It talks to the backend at http://localhost:4000 (backend.url)" in said
    alone.wait_until_it_hears()
    alone.build("--with-backend")
    alone.service("install", "--with-backend")
    assert loads(alone, "jarvis-backend") == {"jarvis-password", "jarvis-jwt-secret"}
    assert loads(alone, "jarvis-ear") == {"jarvis-password"}
    wait_until_they_talk(alone)


def test_the_explanations_of_the_journal_lead_to_a_page_that_is_there(alone):
    catalog = alone.box.run("journalctl", "--dump-catalog", "e9eff41f7a164bf59f008f8ff14dd8e0")
    [page] = re.findall("Documentation: file://(.*)", catalog.stdout)
    assert alone.box.at(page).is_file()


def test_another_password_leaves_the_token_secret(alone):
    file = password(alone, "another one")
    alone.service("password", "--password-file", file)
    assert loads(alone, "jarvis-backend") == {"jarvis-password", "jarvis-jwt-secret"}
    wait_until_they_talk(alone)
    said = alone.service("status")
    assert "jarvis-jwt-secret (" in said
    assert "jarvis-password (" in said


@pytest.fixture
def broken(alone):
    module = alone.box.at(f"{CHECKOUT}/jarvis-ear/src/jarvis_ear/__init__.py")
    good = module.read_text()
    module.write_text(good + BROKEN)
    alone.build(unless_there=True)
    yield alone
    module.write_text(good)


@pytest.mark.parametrize("was_enabled", [True, False])
def test_a_failed_upgrade_of_a_stopped_ear_leaves_it_as_it_was(broken, was_enabled):
    broken.box.run("systemctl", "stop", "jarvis-ear")
    broken.box.run("systemctl", "enable" if was_enabled else "disable", "jarvis-ear")
    before = states(broken)
    said = broken.service("install", check=False)
    assert "everything is back as it was" in said
    assert "jarvis-ear does not run, as before" in said
    assert states(broken) == before == ("inactive", "enabled" if was_enabled else "disabled")


def test_a_failed_upgrade_of_an_ear_that_fails_all_the_time_leaves_it_as_it_was(broken):
    broken.drop_in("jarvis-ear", "ExecStart=", "ExecStart=/bin/false", "RestartSec=1")
    broken.box.run("systemctl", "enable", "jarvis-ear")
    broken.box.run("systemctl", "start", "jarvis-ear", check=False)
    wait_for(lambda: states(broken)[0] == "activating", "it is started again and again")
    said = broken.service("install", check=False)
    assert "jarvis-ear did not run before, and does not start now" in said
    wait_for(lambda: states(broken) == ("activating", "enabled"), "as before")
    broken.with_card()
    broken.box.run("systemctl", "restart", "jarvis-ear")
    broken.wait_until_it_hears()


def test_purging_removes_every_credential_that_the_units_load(alone):
    for name in ("jarvis-bus-key", "jarvis-tts-api-key"):
        alone.box.at(f"/etc/credstore/{name}").write_text("x")
    alone.service("uninstall", "--purge")
    left = alone.box.run("bash", "-c", "find /etc -path '*credstore*' -name 'jarvis*'").stdout
    assert left == ""
