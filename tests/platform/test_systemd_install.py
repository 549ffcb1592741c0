"""Installing, upgrading, going back and removing, under a real systemd."""

import pytest

from fakes.installed_ear import CHECKOUT, RELEASES

pytestmark = pytest.mark.long

SEARCHED = "/etc /opt /run /usr /var"
FIND = (
    f"find {SEARCHED} -xdev -name '*jarvis*' -not -path '/opt/jarvis-test*' -not -path '*/90-test*'"
)


def traces(ear) -> set[str]:
    found = ear.box.run("bash", "-c", f"{FIND}; getent passwd jarvis-ear || true").stdout
    return {line for line in found.splitlines() if not line.endswith(".service.d")}


def current(ear) -> str:
    return ear.box.run("readlink", "/opt/jarvis-ear/current").stdout.strip()


def releases(ear) -> list[str]:
    return sorted(path.name for path in ear.box.at(RELEASES).iterdir())


def change(ear, text: str) -> None:
    module = ear.box.at(f"{CHECKOUT}/jarvis-ear/src/jarvis_ear/__init__.py")
    module.write_text(text)


@pytest.fixture(scope="module")
def sources(prepared):
    path = prepared.box.at(f"{CHECKOUT}/jarvis-ear/src/jarvis_ear/__init__.py")
    return path.read_text()


def test_a_rehearsal_changes_nothing(prepared):
    before = traces(prepared)
    said = prepared.service("install", "--dry-run", "--with-backend")
    assert "would start jarvis-ear" in said
    assert traces(prepared) == before


def test_the_first_installation_runs_and_says_what_next(prepared):
    prepared.build()
    said = prepared.service("install")
    prepared.wait_until_it_hears()
    _, _, last_words = said.partition("\n\n")
    assert last_words.startswith("It is installed and runs.")
    assert "No password is stored" in last_words
    assert len(last_words.splitlines()) <= 8
    assert prepared.box.run("systemctl", "is-enabled", "jarvis-ear").stdout == "enabled\n"


def test_the_second_time_there_is_nothing_to_do(prepared):
    pid = prepared.show("MainPID")
    nothing = "nothing to do: it is installed as it should be, and runs\n"
    assert prepared.service("install") == nothing
    assert prepared.show("MainPID") == pid


def test_a_password_from_a_file_is_stored_and_used(prepared):
    file = prepared.box.at("/run/password")
    file.write_text("geheim\n")
    file.chmod(0o600)
    said = prepared.service("password", "--password-file", "/run/password")
    assert "geheim" not in said
    read = prepared.box.run("cat", "/run/credentials/jarvis-ear.service/jarvis-password").stdout
    assert read == "geheim"
    stored = prepared.box.run("bash", "-c", "cat /etc/credstore*/jarvis-password").stdout
    assert "geheim" not in stored


def test_options_are_never_touched_again(prepared):
    options = prepared.box.at("/etc/jarvis-ear/config.toml")
    options.write_text(options.read_text() + '\n[backend]\nagent_id = "kitchen"\n')
    mine = options.read_text()
    prepared.service("install")
    assert options.read_text() == mine


def test_another_release_takes_the_place_of_the_old_one(prepared, sources):
    old = current(prepared)
    change(prepared, sources + "\n# newer\n")
    name = prepared.build()
    prepared.service("install")
    assert current(prepared) == f"releases/{name}" != old
    assert releases(prepared) == [name]
    prepared.wait_until_it_hears()


def test_a_release_that_does_not_start_gives_way_to_the_old_one(prepared, sources):
    old, kept = current(prepared), releases(prepared)
    unit = prepared.box.at("/usr/local/lib/systemd/system/jarvis-ear.service").read_text()
    change(
        prepared,
        sources + "\nimport os\nif 'NOTIFY_SOCKET' in os.environ:\n    raise SystemExit(3)\n",
    )
    source = prepared.box.at(f"{CHECKOUT}/systemd/jarvis-ear.service")
    source.write_text(source.read_text() + "# newer\n")
    prepared.build()
    said = prepared.service("install", check=False)
    assert "everything is back as it was; jarvis-ear runs again" in said
    assert current(prepared) == old
    assert set(kept) <= set(releases(prepared))
    assert prepared.box.at("/usr/local/lib/systemd/system/jarvis-ear.service").read_text() == unit
    source.write_text(source.read_text().removesuffix("# newer\n"))
    prepared.wait_until_it_hears()


def test_the_older_release_can_be_installed_again(prepared, sources):
    change(prepared, sources)
    name = prepared.build()
    prepared.service("install")
    assert releases(prepared) == [name]
    prepared.wait_until_it_hears()


def test_uninstalling_keeps_what_is_the_owners_and_purging_keeps_nothing(prepared):
    said = prepared.service("uninstall")
    assert "kept: /etc/jarvis-ear" in said
    kept = traces(prepared)
    assert "/etc/jarvis-ear" in kept
    assert not [path for path in kept if path.startswith(("/opt", "/run", "/usr"))]
    prepared.service("uninstall", "--purge")
    assert traces(prepared) == set()
    assert prepared.service("uninstall") == "nothing to do: nothing of it is installed\n"
    known = prepared.box.run("systemctl", "list-unit-files", "jarvis*", check=False).stdout
    assert "0 unit files" in known
