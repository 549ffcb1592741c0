"""The light effort: where openWakeWord runs, and that its scores are the same there."""

import sys

import numpy as np
import pytest

from fakes.recordings import in_room, recording, whole_steps
from jarvis_ear.config import HearingOptions, WakeOptions
from jarvis_ear.devices.micro_wake_word import HISTORY_STEPS, LightWakeModel, SmallModel
from jarvis_ear.devices.models import EarFactory
from jarvis_ear.devices.openwakeword import OpenWakeWord, shipped_model
from jarvis_ear.errors import ConfigError
from jarvis_ear.hearing.wake import SecondLook
from jarvis_ear.units import SAMPLE_BYTES, STEP_SAMPLES

STEP_BYTES = STEP_SAMPLES * SAMPLE_BYTES
TALK = np.concatenate([in_room(recording("light-rms"), 300), recording("music-kal")])
SCENE = whole_steps(np.concatenate([TALK, TALK, in_room(500, recording("hey-jarvis"), 900)]))


def heard(model, pcm, batch):
    """Return scores and second looks of all steps, ``batch`` of them at a time."""
    found = []
    for at in range(0, len(pcm), batch * STEP_BYTES):
        scores = model.score(pcm[at : at + batch * STEP_BYTES])
        found += [(score, model.look_again(step)) for step, score in enumerate(scores)]
    return found


@pytest.mark.parametrize("batch", [1, 3])
def test_where_the_network_runs_it_scores_as_if_it_had_always_run(batch):
    assert len(SCENE) > 2 * HISTORY_STEPS * STEP_BYTES  # more sound than it is told afterwards
    light = heard(LightWakeModel(["hey_jarvis"], OpenWakeWord()), SCENE, batch)
    always = heard(OpenWakeWord(), SCENE, batch)
    ran = [n for n, (_, look) in enumerate(light) if look != SecondLook(0.0, None)]
    assert [light[n][0] for n in ran] == pytest.approx([always[n][0] for n in ran], abs=1e-6)
    looks = [(light[n][1], always[n][1]) for n in ran]
    np.testing.assert_allclose(*map(list, zip(*looks, strict=True)), atol=1e-3)
    others = set(range(len(light))) - set(ran)
    assert {light[n] for n in others} == {(0.0, SecondLook(0.0, None))}
    assert max(score for score, _ in light) == max(score for score, _ in always) > 0.9
    assert len(ran) < len(light) / 2


def test_steps_that_are_scored_together_have_the_same_scores():
    one, three = (
        heard(LightWakeModel(["hey_jarvis"], OpenWakeWord()), SCENE, batch) for batch in (1, 3)
    )
    assert [score for score, _ in one] == pytest.approx([score for score, _ in three], abs=1e-6)


def test_a_reset_forgets_all_sound():
    model = LightWakeModel(["hey_jarvis"], OpenWakeWord())
    before = heard(model, SCENE, 1)
    model.reset()
    assert heard(model, SCENE, 1) == before


def test_the_network_runs_only_for_the_word_that_may_have_been_said():
    model = LightWakeModel(["alexa", "hey_jarvis"], OpenWakeWord(["alexa", "hey_jarvis"]))
    first, second = 0.0, 0.0
    for at in range(0, len(SCENE), STEP_BYTES):
        first = max(first, *model.score(SCENE[at : at + STEP_BYTES]))
        second = max(second, *model.score_word(1))
    assert (first, second > 0.9) == (0.0, True)


def test_the_stop_word_is_heard_though_it_has_no_small_model():
    stop = shipped_model("hey_mycroft_v0.1.onnx")
    light = LightWakeModel(["alexa"], OpenWakeWord(["alexa"], stop_model=stop))
    always = OpenWakeWord(["alexa"], stop_model=stop)
    for at in range(0, len(SCENE), 3 * STEP_BYTES):
        for model in (light, always):
            model.score(SCENE[at : at + 3 * STEP_BYTES])
        assert light.score_stop() == pytest.approx(always.score_stop(), abs=1e-6)


@pytest.mark.parametrize("word", ["hey_marvin", "/x/computer.onnx"])
def test_a_word_without_a_small_model_is_refused(word):
    with pytest.raises(ConfigError, match=rf'no small model of {word}, expected effort = "best"'):
        SmallModel(word)


def test_the_package_is_loaded_for_the_light_effort_only(monkeypatch):
    monkeypatch.setitem(sys.modules, "pymicro_wakeword", None)  # its import fails
    EarFactory().load(HearingOptions())
    with pytest.raises(ConfigError, match="pymicro-wakeword cannot be used"):
        EarFactory().load(HearingOptions(wake=WakeOptions(effort="light")))
