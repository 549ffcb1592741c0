"""What the end of a reply does to the volume, and when it does nothing."""

import logging

import pytest

from jarvis_ear.config import BackendOptions, Config, SpeakerOptions
from jarvis_ear.delivery.events import Announced, Finished, Verdict, VolumeRequest
from jarvis_ear.devices.volume import Volume, VolumeRequests


class Speaker:
    """A loudspeaker with the volume of the ear, and nothing to play it."""

    def __init__(self, folder):
        self.kept = Volume(50, folder)

    @property
    def volume(self):
        return self.kept.percent

    def set_volume(self, percent, by):
        self.kept.set(percent, by)
        return self.kept.stored


class Room:
    def __init__(self, folder):
        self.now = 0.0
        self.woken = 0
        self.speaker = Speaker(folder)
        self.requests = VolumeRequests(self.speaker.kept, self.wake, lambda: self.now)
        self.requests.change(Config())
        self.requests.connect(self.speaker.set_volume)

    def wake(self):
        self.woken += 1

    def hear(self, *requests):
        for request in requests:
            self.requests.draw(Finished("t1", Verdict.DONE, "", 1, volume=request), None)
        self.requests.look()
        return self.speaker.volume


@pytest.fixture
def room(tmp_path):
    return Room(tmp_path)


def louder(points):
    return VolumeRequest(change=points)


@pytest.mark.parametrize(
    ("requests", "percent"),
    [
        ([VolumeRequest(40)], 40),
        ([VolumeRequest(0)], 0),
        ([louder(10)], 60),
        ([louder(-10), louder(-10)], 30),
        ([louder(80), louder(-10)], 90),
        ([louder(-100), louder(10)], 10),
        ([VolumeRequest()], 50),
    ],
)
def test_the_volume_is_set_or_changed_within_its_range(room, tmp_path, requests, percent):
    assert room.hear(*requests) == percent
    assert Volume(50, tmp_path).percent == percent, "a restart knows it"
    assert room.woken == len([each for each in requests if each != VolumeRequest()])
    room.requests.look()
    assert room.speaker.volume == percent


def test_the_log_says_who_set_it(room, caplog):
    caplog.set_level(logging.INFO)
    room.hear(louder(10))
    [record] = caplog.records
    assert record.getMessage() == "volume of replies: 60 % (before: 50 %), set by the backend"
    assert (record.VOLUME_PERCENT, record.SET_BY) == (60, "backend")


def test_a_bad_request_is_one_warning_for_a_while_and_changes_nothing(room, caplog):
    bad = VolumeRequest.read({"volume": "loud"})
    assert room.hear(bad, bad) == 50
    [record] = caplog.records
    assert record.levelno == logging.WARNING
    assert record.getMessage() == (
        "the backend's request to change the volume is refused: "
        "volume is str; expected a whole number from 0 to 100"
    )
    room.now = 700.0
    room.hear(bad)
    assert len(caplog.records) == 2


def test_the_owner_may_forbid_it(room, caplog):
    room.requests.change(Config(backend=BackendOptions(may_set_volume=False)))
    assert room.hear(louder(10)) == 50
    assert "backend.may_set_volume" in caplog.text


def test_it_means_nothing_without_a_loudspeaker_or_in_an_announcement(room, caplog):
    room.requests.draw(Announced("news", ()), None)
    room.requests.change(Config(speaker=SpeakerOptions(device="none")))
    assert room.hear(louder(10), VolumeRequest(problem="bad")) == 50
    assert (room.woken, caplog.records) == (0, [])
