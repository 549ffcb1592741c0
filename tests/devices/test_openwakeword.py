import numpy as np
import pytest

from fakes.recordings import COMMAND_STARTS_MS, Pcm, in_room, recording, wake_model, whole_steps
from jarvis_ear.devices import openwakeword
from jarvis_ear.devices.openwakeword import OpenWakeWord, open_model, shipped_model
from jarvis_ear.devices.wake_head import WakeHead
from jarvis_ear.errors import ConfigError
from jarvis_ear.hearing.wake import SecondLook
from jarvis_ear.units import STEP_SAMPLES, samples


@pytest.mark.parametrize(
    "name",
    ["melspectrogram.onnx", "embedding_model.onnx", "hey_jarvis_v0.1.onnx", "silero_vad.onnx"],
)
def test_a_package_holds_every_model(name):
    assert shipped_model(name).stat().st_size > 100_000


def test_a_missing_model_or_package_is_named(monkeypatch):
    with pytest.raises(ConfigError, match=r"there is no melody\.onnx, .* of openwakeword 0\.4\.0"):
        shipped_model("melody.onnx")
    monkeypatch.setattr(openwakeword.importlib.util, "find_spec", lambda _name: None)
    with pytest.raises(ConfigError, match="not installed: pip install jarvis-ear-models"):
        shipped_model("melspectrogram.onnx")


def test_our_package_of_the_models_comes_first_and_the_other_one_fills_in(tmp_path, monkeypatch):
    models = tmp_path / "jarvis_ear_models" / "models"
    models.mkdir(parents=True)
    (models / "embedding_model.onnx").touch()
    (models.parent / "__init__.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    assert shipped_model("embedding_model.onnx") == models / "embedding_model.onnx"
    assert "openwakeword" in shipped_model("melspectrogram.onnx").parts


@pytest.mark.parametrize("content", [b"not a model", b"", bytes(1000), "absent", "a folder"])
@pytest.mark.parametrize("load", [open_model, lambda path: OpenWakeWord([str(path)])])
def test_a_file_that_is_no_model_is_refused(load, content, tmp_path):
    path = tmp_path / "word.onnx"
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content == "a folder":
        path.mkdir()
    with pytest.raises(ConfigError, match="is not a model that onnxruntime can load") as error:
        load(path)
    assert str(path) in str(error.value)


def test_a_model_runs_in_the_calling_thread():
    options = open_model(shipped_model("silero_vad.onnx")).get_session_options()
    assert options.intra_op_num_threads == 1
    assert options.inter_op_num_threads == 1
    assert options.get_session_config_entry("session.intra_op.allow_spinning") == "0"


STEP_BYTES = 2 * STEP_SAMPLES
THEIR_WARM_UP_MS = 4000
"""16 steps of their embeddings and the 76 mel frames of the first: 2.1 s. Then some."""


@pytest.fixture(scope="module")
def loaded() -> OpenWakeWord:
    return OpenWakeWord()


@pytest.fixture
def ours(loaded) -> OpenWakeWord:
    loaded.reset()
    return loaded


@pytest.fixture(scope="module")
def theirs():
    from openwakeword.model import Model  # noqa: PLC0415 - ours silences onnxruntime first

    return Model(wakeword_model_paths=[str(shipped_model("hey_jarvis_v0.1.onnx"))])


def scores(model: OpenWakeWord, pcm: bytes, steps: int = 1) -> list[float]:
    """The scores of a model that is given so many steps at once."""
    size = steps * STEP_BYTES
    return [score for at in range(0, len(pcm), size) for score in model.score(pcm[at : at + size])]


@pytest.mark.filterwarnings("ignore:Specified provider 'CUDAExecutionProvider'")
@pytest.mark.parametrize("name", ["hey-jarvis", "what-time-is-it", *COMMAND_STARTS_MS])
def test_the_scores_are_those_of_openwakeword(name, ours, theirs):
    sound = whole_steps(in_room(THEIR_WARM_UP_MS, recording(name), 1000))
    steps = np.frombuffer(sound, np.int16).reshape(-1, STEP_SAMPLES)
    expected = [float(theirs.predict(step)["hey_jarvis_v0.1"]) for step in steps]
    found = scores(ours, sound)
    warm = samples(THEIR_WARM_UP_MS) // STEP_SAMPLES
    np.testing.assert_allclose(found[warm:], expected[warm:], atol=1e-3, rtol=0)
    assert (max(found) > 0.9) == (name != "what-time-is-it")


@pytest.mark.parametrize("name", ["hey-jarvis", *COMMAND_STARTS_MS])
@pytest.mark.parametrize("shift", [0, 400, 800])
def test_every_voice_is_recognized_wherever_the_steps_are_cut(name, shift, ours):
    sound = in_room(500, recording(name), 500)[shift:]
    assert max(ours.score(whole_steps(sound))) > 0.9


def test_the_score_is_high_soon_after_the_word_is_over(ours):
    found = ours.score(whole_steps(in_room(500, recording("hey-jarvis"), 1000)))
    heard_at = (next(step for step, score in enumerate(found) if score >= 0.5) + 1) * STEP_SAMPLES
    assert heard_at <= samples(500) + len(recording("hey-jarvis")) + samples(300)


@pytest.mark.parametrize("batch", [2, 3, 7, 100])
def test_several_steps_at_once_score_like_one_after_the_other(batch, ours):
    pcm = whole_steps(in_room(500, recording("one-breath-slt"), 500))
    expected = scores(ours, pcm)
    ours.reset()
    np.testing.assert_allclose(scores(ours, pcm, batch), expected, atol=1e-4, rtol=0)


def looks_at(sound: Pcm, steps: int = 1) -> list[SecondLook]:
    """The second look at every step of ``sound``, of which so many are scored at once."""
    model, size, found = wake_model(), steps * STEP_SAMPLES, list[SecondLook]()
    model.reset()
    for at in range(0, len(sound), size):
        count = len(model.score(sound[at : at + size].tobytes()))
        found += [model.look_again(step) for step in range(count)]
    return found


LATER = samples(60)
NOISY = in_room(2000, recording("light-rms")[:20_000], 300, floor_rms=400, gain=0.3)
NOISY = NOISY[: LATER + (len(NOISY) - LATER) // STEP_SAMPLES * STEP_SAMPLES]
"""A wake word on the border, by which the scores of different cuts differ most."""


def test_the_second_look_scores_the_sound_as_if_it_were_cut_earlier(ours):
    head, own = WakeHead(), list[float]()
    found = looks_at(NOISY[LATER:])
    scores, logits = [], []
    for earlier_ms in (0, 20, 40, 60):
        ours.reset()
        scores.append(ours.score(whole_steps(NOISY[LATER - samples(earlier_ms) :]))[: len(found)])
        logits.append([head.logit(window) for window in ours._windows[: len(found)]])
    own = scores.pop(0)
    looked = np.array([look.score for look in found])
    np.testing.assert_allclose(looked, np.max(scores, axis=0), atol=0.01, rtol=0)
    assert np.abs(own - looked).max() > 0.05
    for step in range(25, len(found)):  # all of the sound, and none before it
        expected = max(*logits[0][step - 3 : step + 1], *(cut[step] for cut in logits[1:]))
        assert found[step].verifier == pytest.approx(expected, abs=0.2)


@pytest.mark.parametrize("batch", [2, 3, 7])
def test_the_second_look_does_not_depend_on_the_steps_that_are_scored_together(batch):
    sound = NOISY[: batch * 3 * STEP_SAMPLES]
    np.testing.assert_allclose(looks_at(sound, batch), looks_at(sound), atol=1e-3, rtol=0)


def test_only_the_built_in_word_is_verified(ours, tmp_path):
    path = tmp_path / "jarvis.onnx"
    path.write_bytes(shipped_model("hey_jarvis_v0.1.onnx").read_bytes())
    own, step = OpenWakeWord([str(path)]), bytes(STEP_BYTES)
    assert own.score(step) == ours.score(step)
    assert own.look_again(0) == ours.look_again(0)._replace(verifier=None)
    assert ours.look_again(0).verifier is not None


def test_reset_forgets_all_sound(ours):
    pcm = whole_steps(in_room(recording("light-rms"), 300))
    ours.score(whole_steps(recording("music-kal")))
    ours.reset()
    assert ours.score(pcm) == OpenWakeWord().score(pcm)


@pytest.mark.parametrize(
    ("pcm", "most"),
    [(bytes(30 * STEP_BYTES), 0.01), (whole_steps(in_room(3000, floor_rms=300)), 0.1)],
)
def test_the_first_scores_of_an_empty_room_are_low(ours, pcm, most):
    assert max(ours.score(pcm)) < most


def test_another_classifier_has_other_scores():
    model = OpenWakeWord(["hey_mycroft"])
    assert max(model.score(whole_steps(in_room(500, recording("hey-jarvis"), 500)))) < 0.5


def test_several_words_share_all_but_their_classifiers(ours):
    both, mycroft = OpenWakeWord(["hey_mycroft", "hey_jarvis"]), OpenWakeWord(["hey_mycroft"])
    pcm = whole_steps(in_room(500, recording("hey-jarvis"), 500))
    for at in range(0, len(pcm), 3 * STEP_BYTES):
        steps = pcm[at : at + 3 * STEP_BYTES]
        assert both.score(steps) == mycroft.score(steps)
        assert both.score_word(1) == ours.score(steps)
        for step in range(len(steps) // STEP_BYTES):
            assert both.look_again(step, 1) == ours.look_again(step)
            assert both.look_again(step, 0) == mycroft.look_again(step)


def test_a_second_classifier_scores_the_same_steps_for_the_stop_word(ours):
    mycroft = shipped_model("hey_mycroft_v0.1.onnx")
    both, other = OpenWakeWord(stop_model=mycroft), OpenWakeWord([str(mycroft)])
    pcm = whole_steps(in_room(500, recording("hey-jarvis"), 500))
    for at in range(0, len(pcm), 3 * STEP_BYTES):
        steps = pcm[at : at + 3 * STEP_BYTES]
        assert both.score(steps) == ours.score(steps)
        assert both.score_stop() == other.score(steps)
        assert ours.score_stop() == []


@pytest.mark.parametrize("name", ["melspectrogram.onnx", "silero_vad.onnx", "timer_v0.1.onnx"])
def test_another_kind_of_model_is_refused_with_the_expected_shape(name):
    with pytest.raises(
        ConfigError, match=r"not an openWakeWord classifier.*expected \[\[1, 16, 96\]\]"
    ):
        OpenWakeWord([str(shipped_model(name))])
    with pytest.raises(ConfigError, match=f"{name} is not an openWakeWord classifier"):
        OpenWakeWord(stop_model=shipped_model(name))
