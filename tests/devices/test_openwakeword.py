import numpy as np
import pytest

from fakes.recordings import COMMAND_STARTS_MS, Pcm, in_room, recording
from jarvis_ear.devices.models import OpenWakeWord, shipped_model
from jarvis_ear.errors import ConfigError
from jarvis_ear.units import STEP_SAMPLES, samples

STEP_BYTES = 2 * STEP_SAMPLES

THEIR_WARM_UP_MS = 4000
"""16 steps of their embeddings and the 76 mel frames of the first: 2.1 s. Then some."""


@pytest.fixture(scope="module")
def ours() -> OpenWakeWord:
    return OpenWakeWord()


@pytest.fixture(scope="module")
def theirs():
    from openwakeword.model import Model  # noqa: PLC0415 - ours silences onnxruntime first

    return Model(wakeword_model_paths=[str(shipped_model("hey_jarvis_v0.1.onnx"))])


def whole_steps(sound: Pcm) -> bytes:
    return sound[: len(sound) // STEP_SAMPLES * STEP_SAMPLES].tobytes()


def step_by_step(model: OpenWakeWord, pcm: bytes) -> list[float]:
    return [
        score
        for at in range(0, len(pcm), STEP_BYTES)
        for score in model.score(pcm[at : at + STEP_BYTES])
    ]


@pytest.mark.filterwarnings("ignore:Specified provider 'CUDAExecutionProvider'")
@pytest.mark.parametrize("name", ["hey-jarvis", "what-time-is-it", *COMMAND_STARTS_MS])
def test_the_scores_are_those_of_openwakeword(name, ours, theirs):
    sound = in_room(THEIR_WARM_UP_MS, recording(name), 1000)
    steps = np.frombuffer(whole_steps(sound), np.int16).reshape(-1, STEP_SAMPLES)
    expected = [float(theirs.predict(step)["hey_jarvis_v0.1"]) for step in steps]
    ours.reset()
    found = step_by_step(ours, whole_steps(sound))
    warm = samples(THEIR_WARM_UP_MS) // STEP_SAMPLES
    np.testing.assert_allclose(found[warm:], expected[warm:], atol=1e-3, rtol=0)
    assert (max(found) > 0.9) == (name != "what-time-is-it")


@pytest.mark.parametrize("name", ["hey-jarvis", *COMMAND_STARTS_MS])
@pytest.mark.parametrize("shift", [0, 400, 800])
def test_every_voice_is_heard_wherever_the_steps_are_cut(name, shift, ours):
    ours.reset()
    sound = in_room(500, recording(name), 500)[shift:]
    assert max(ours.score(whole_steps(sound))) > 0.9


def test_it_is_sure_soon_after_the_word_is_over(ours):
    ours.reset()
    scores = ours.score(whole_steps(in_room(500, recording("hey-jarvis"), 1000)))
    heard_at = (next(step for step, score in enumerate(scores) if score >= 0.5) + 1) * STEP_SAMPLES
    assert heard_at <= samples(500) + len(recording("hey-jarvis")) + samples(300)


@pytest.mark.parametrize("batch", [2, 3, 7, 100])
def test_several_steps_at_once_score_like_one_after_the_other(batch, ours):
    pcm = whole_steps(in_room(500, recording("one-breath-slt"), 500))
    ours.reset()
    expected = step_by_step(ours, pcm)
    ours.reset()
    found: list[float] = []
    for at in range(0, len(pcm), batch * STEP_BYTES):
        found += ours.score(pcm[at : at + batch * STEP_BYTES])
    np.testing.assert_allclose(found, expected, atol=1e-4, rtol=0)


def test_reset_makes_it_as_good_as_new(ours):
    pcm = whole_steps(in_room(recording("light-rms"), 300))
    ours.score(whole_steps(recording("music-kal")))
    ours.reset()
    assert ours.score(pcm) == OpenWakeWord().score(pcm)


def test_a_new_one_counts_from_its_first_score(ours):
    ours.reset()
    assert max(ours.score(bytes(30 * STEP_BYTES))) < 0.01
    ours.reset()
    assert max(ours.score(whole_steps(in_room(3000, floor_rms=300)))) < 0.1


def test_a_classifier_of_ones_own_is_used():
    model = OpenWakeWord(shipped_model("hey_mycroft_v0.1.onnx"))
    assert max(model.score(whole_steps(in_room(500, recording("hey-jarvis"), 500)))) < 0.5


@pytest.mark.parametrize("name", ["melspectrogram.onnx", "silero_vad.onnx", "timer_v0.1.onnx"])
def test_another_kind_of_model_is_refused_with_what_was_expected(name):
    with pytest.raises(
        ConfigError, match=r"not an openWakeWord classifier.*expected \[\[1, 16, 96\]\]"
    ):
        OpenWakeWord(shipped_model(name))


def test_a_file_that_is_no_model_is_refused(tmp_path):
    file = tmp_path / "word.onnx"
    file.write_bytes(bytes(1000))
    with pytest.raises(ConfigError, match="is not a model that onnxruntime can load"):
        OpenWakeWord(file)
