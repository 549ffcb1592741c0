"""What ears tell each other: its form, its signature, and how loud a wake word is."""

from contextlib import suppress
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fakes.claims import claim
from jarvis_ear.errors import RemoteProtocolError
from jarvis_ear.rooms.claim import (
    MAX_AGE_MS,
    MAX_DATAGRAM,
    MAX_HEARD,
    Claim,
    from_event,
    measure,
    seal,
    sign,
    to_event,
    unseal,
)
from jarvis_ear.units import FRAME_SAMPLES
from jarvis_ear.wires.json_fields import write_fields

KEY = b"k" * 16
IDS = [f"{number:016x}" for number in range(MAX_HEARD + 1)]
CLAIM = claim("kitchen", 0, age_ms=40, score_percent=97, heard=f"{IDS[1]} {IDS[2]}")


def test_a_claim_survives_the_way_over_the_network_and_over_the_bus():
    assert unseal(seal(CLAIM, KEY), KEY) == CLAIM
    assert from_event(to_event(CLAIM).data) == CLAIM
    assert CLAIM.names == {IDS[1], IDS[2]}


def test_a_claim_holds_no_sound_and_no_words():
    assert set(to_event(CLAIM).data) == {
        *("group", "claimId", "ear", "standing", "ageMs", "ready"),
        *("scorePercent", "level", "floor", "heard"),
    }


def test_the_longest_claim_fits_into_a_datagram():
    wide = "\N{GRINNING FACE}" * 64
    longest = replace(CLAIM, group=wide, ear=wide, heard=" ".join(IDS[:MAX_HEARD]))
    assert len(seal(longest, KEY)) <= MAX_DATAGRAM
    assert unseal(seal(longest, KEY), KEY) == longest


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"claimId": "me"}, "claimId"),
        ({"ear": ""}, "ear"),
        ({"ear": "x" * 65}, "ear"),
        ({"ear": "kitchen\nroot logged in"}, "ear"),
        ({"standing": "asleep"}, "standing"),
        ({"ageMs": -1}, "ageMs"),
        ({"ageMs": MAX_AGE_MS + 1}, "ageMs"),
        ({"ageMs": True}, "ageMs"),
        ({"ready": 1}, "ready"),
        ({"scorePercent": 101}, "scorePercent"),
        ({"level": 11}, "level"),
        ({"floor": -201}, "level"),
        ({"heard": " ".join(IDS)}, "heard"),
        ({"heard": f"{IDS[0]}  {IDS[1]}"}, "heard"),
        ({"heard": None}, "heard"),
    ],
)
def test_a_claim_that_cannot_be_is_refused_by_name(change, named):
    with pytest.raises(RemoteProtocolError, match=named):
        from_event(write_fields(CLAIM) | change)


def test_a_claim_without_a_field_is_refused():
    data = dict(to_event(CLAIM).data)
    del data["ear"]
    with pytest.raises(RemoteProtocolError, match="ear is missing"):
        from_event(data)


def test_only_the_key_of_the_home_opens_a_datagram():
    datagram = seal(CLAIM, KEY)
    for other in (datagram[:-1], datagram[1:], b"", datagram.replace(b"97", b"99")):
        with pytest.raises(RemoteProtocolError, match=r"rooms\.key"):
            unseal(other, KEY)
    with pytest.raises(RemoteProtocolError, match=r"rooms\.key"):
        unseal(datagram, b"another key, as long")


@given(st.binary(max_size=300))
def test_no_datagram_is_a_bug_even_from_one_who_has_the_key(body):
    for datagram in (body, sign(body, KEY)):
        with pytest.raises(RemoteProtocolError):
            unseal(datagram, KEY)


@given(
    st.dictionaries(
        st.sampled_from([*to_event(CLAIM).data, "type"]),
        st.none() | st.booleans() | st.integers() | st.text() | st.lists(st.integers()),
    )
)
def test_no_event_of_the_bus_is_a_bug(change):
    with suppress(RemoteProtocolError):
        assert isinstance(from_event(write_fields(CLAIM) | change), Claim)


def frames(*stretches: tuple[int, float]) -> list[bytes]:
    """Frames of noise: pairs of a number of frames and an amplitude (0 ... 1)."""
    noise = np.random.default_rng(1)
    return [
        (noise.standard_normal(FRAME_SAMPLES) * amplitude * 32767).astype("<i2").tobytes()
        for count, amplitude in stretches
        for _ in range(count)
    ]


def test_a_voice_is_measured_without_the_noise_of_the_room():
    quiet, floor = measure(frames((40, 0.0001), (35, 0.03)))
    assert (quiet, floor) == (pytest.approx(-27, abs=1), pytest.approx(-77, abs=2))
    loud_room, noise = measure(frames((40, 0.02), (35, 0.036)))  # the same voice and a television
    assert (loud_room, noise) == (pytest.approx(quiet, abs=1), pytest.approx(-31, abs=1))


def test_the_gain_of_a_microphone_counts_and_silence_has_a_level():
    sound = frames((40, 0.0001), (35, 0.01))
    assert measure(sound, 12.0)[0] == measure(sound)[0] + 12
    assert measure([bytes(640)] * 75) == (-120, -120)
    assert measure([]) == (-120, -120)
    assert measure(frames((75, 0.9)), 30.0)[1] == 10
