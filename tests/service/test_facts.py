"""What is found on this machine."""

import pytest

from jarvis_ear.errors import ServiceError
from jarvis_ear.service import facts
from jarvis_ear.service.layout import Layout


def test_an_empty_folder_has_nothing(tmp_path):
    found = facts.look(Layout(root=tmp_path))
    assert found.python_tag.startswith("cpython-3")
    assert (found.stored, found.releases, found.has_backend) == (frozenset(), (), False)
    assert (found.has_release, found.has_user, found.is_managed) == (False, False, False)


def test_what_lies_there_is_seen(tmp_path):
    layout = Layout(root=tmp_path)
    for path in (layout.unit("jarvis-backend"), layout.sealed / "jarvis-password"):
        layout.at(path).parent.mkdir(parents=True, exist_ok=True)
        layout.at(path).touch()
    layout.at(layout.releases / "1").mkdir(parents=True)
    layout.at(layout.current).symlink_to("releases/1")
    found = facts.look(layout)
    assert found.stored == {"jarvis-password"}
    assert [release.name for release in found.releases] == ["1"]
    assert found.has_backend
    assert found.has_release


def test_a_machine_without_a_python_for_services_is_told_why(monkeypatch, tmp_path):
    monkeypatch.setattr(facts, "PYTHONS", ("python3-not-there",))
    with pytest.raises(ServiceError, match=r"expected Python 3\.11 or newer in /usr/bin"):
        facts.look(Layout(root=tmp_path))


def test_a_python_that_will_not_do_says_why(monkeypatch, tmp_path):
    python = tmp_path / "python3"
    python.write_text("#!/bin/sh\necho 'is older than 3.11' >&2; exit 1\n")
    python.chmod(0o755)
    monkeypatch.setattr(facts, "PYTHONS", (str(python),))
    with pytest.raises(ServiceError, match=f"^{python} is older than 3.11$"):
        facts.look(Layout(root=tmp_path))
