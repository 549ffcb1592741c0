from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jarvis_ear import config
from jarvis_ear.audio.frames import Frame
from jarvis_ear.hearing.endpoint import Demand, Endpoint, Endpointer, SpeechOver
from jarvis_ear.hearing.events import RefusalReason, SpeechDiscarded, SpeechStarted
from jarvis_ear.hearing.gate import Evidence
from jarvis_ear.hearing.utterance import EndReason
from jarvis_ear.units import FRAME_SAMPLES, Samples, frames, samples

SILENCE = Evidence(speech=False, probability=0.0, level=10.0)
NOISE = Evidence(speech=True, probability=0.1, level=1e6)
WHISPER = Evidence(speech=False, probability=0.9, level=1e6)
MURMUR = Evidence(speech=True, probability=0.9, level=1e5)
HISS = Evidence(speech=True, probability=0.1, level=1e4)
VOICE = Evidence(speech=True, probability=0.9, level=1e6)

settings = st.builds(
    config.EndpointingOptions,
    onset_ms=st.sampled_from([20, 50, 100]),
    hangover_ms=st.sampled_from([100, 130, 800]),
    max_ms=st.sampled_from([1000, 1010, 3000]),
)
runs = st.lists(
    st.tuples(st.sampled_from([SILENCE, NOISE, WHISPER, MURMUR, VOICE]), st.integers(1, 60)),
    max_size=12,
)
rooms = runs.map(lambda found: [evidence for evidence, count in found for _ in range(count)])


@dataclass
class Listener:
    """Drives an endpointer as the ear does, and keeps the answers with the time of each."""

    endpointing: config.EndpointingOptions
    pre_roll: int = 0
    least: int = 0
    now: int = 0
    answers: list[tuple[int, Endpoint]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.endpointer = Endpointer(self.endpointing)

    def hear(self, room: list[Evidence]) -> list[Endpoint]:
        """Take in one frame for each piece of evidence; the new answers."""
        known = len(self.answers)
        for evidence in room:
            frame = Frame(Samples(self.now), b"")
            self.now = frame.end
            answer = self.endpointer.hear(frame, evidence)
            if answer is not None:
                self._take(answer)
        return [answer for _, answer in self.answers[known:]]

    def _take(self, answer: Endpoint) -> None:
        self.answers.append((self.now, answer))
        if isinstance(answer, SpeechStarted):
            start = max(0, answer.at - self.pre_roll)
            self.endpointer.begin(Samples(start), Samples(self.least))
        else:
            self.endpointer.listen(Samples(self.now))


def hear(room: list[Evidence], **options: int) -> list[Endpoint]:
    return Listener(config.EndpointingOptions(**options)).hear(room)


@given(settings, rooms, st.sampled_from([0, 2560]))
def test_starts_and_ends_alternate(endpointing, room, least):
    kinds = [
        isinstance(answer, SpeechStarted)
        for answer in Listener(endpointing, least=least).hear(room)
    ]
    assert kinds == [number % 2 == 0 for number in range(len(kinds))]


@given(settings, rooms)
def test_start_before_end_before_now(endpointing, room):
    listener = Listener(endpointing)
    listener.hear(room)
    for (began, start), (now, end) in zip(
        listener.answers[::2], listener.answers[1::2], strict=False
    ):
        assert start.at < began <= now
        assert start.at < end.at <= now


@given(settings, rooms, st.sampled_from([0, 1600, 8000]))
def test_nothing_is_longer_than_the_longest(endpointing, room, pre_roll):
    listener = Listener(endpointing, pre_roll=pre_roll)
    listener.hear(room)
    longest = samples(endpointing.max_ms)
    for (_, start), (now, end) in zip(listener.answers[::2], listener.answers[1::2], strict=False):
        length = now - max(0, start.at - pre_roll)
        assert length <= longest
        if end.reason is EndReason.MAX_LENGTH:
            assert length > longest - FRAME_SAMPLES


@given(settings, rooms)
def test_an_end_by_hangover_comes_exactly_then(endpointing, room):
    listener = Listener(endpointing)
    listener.hear(room)
    for now, end in listener.answers:
        if isinstance(end, SpeechOver) and end.reason is EndReason.HANGOVER:
            assert now == end.at + frames(endpointing.hangover_ms) * FRAME_SAMPLES


@given(settings, rooms)
def test_every_run_of_speech_that_lasts_is_in_some_utterance(endpointing, room):
    onset = frames(endpointing.onset_ms)
    listener = Listener(endpointing)
    answers = listener.hear(room)
    inside = set()
    for start, end in zip(answers[::2], [*answers[1::2], None], strict=False):
        inside |= set(range(start.at, listener.now if end is None else end.at, FRAME_SAMPLES))
    run: list[int] = []
    for number, evidence in enumerate([*room, SILENCE]):
        if evidence is VOICE:
            run.append(number * FRAME_SAMPLES)
        else:
            # what an end by length cuts off may be too short for a new start
            kept = len(run) - len(inside.intersection(run))
            assert len(run) < onset or kept < onset
            run = []


@pytest.mark.parametrize("evidence", [NOISE, WHISPER])
@given(data=st.data())
def test_speech_for_only_one_of_the_two_models_starts_nothing(evidence, data):
    room = data.draw(st.lists(st.sampled_from([SILENCE, evidence]), max_size=500))
    assert hear(room, onset_ms=20) == []


def test_speech_starts_and_ends_to_the_sample():
    start = SpeechStarted(Samples(10 * 320))
    room = [SILENCE] * 10 + [VOICE] * 50 + [SILENCE] * 39
    assert hear(room, hangover_ms=800) == [start]
    end = SpeechOver(Samples(60 * 320), EndReason.HANGOVER)
    assert hear([*room, SILENCE], hangover_ms=800) == [start, end]


def test_speech_shorter_than_the_onset_does_not_start():
    assert hear([VOICE] * 4 + [SILENCE] + [VOICE] * 4 + [SILENCE], onset_ms=100) == []
    assert hear([VOICE] * 5, onset_ms=100) == [SpeechStarted(Samples(0))]


SLAM = Evidence(speech=True, probability=0.9, level=1e9)


@pytest.mark.parametrize(
    ("room", "earliest", "latest"),
    [
        pytest.param(
            [VOICE] * 50 + [SILENCE] * 39 + [VOICE] * 50, 139, 139, id="a short pause is part of it"
        ),
        pytest.param([VOICE] * 50 + [NOISE] * 40, 50, 50, id="noise does not prolong it"),
        pytest.param([VOICE] * 50 + [WHISPER] * 50, 100, 100, id="a quieter voice goes on"),
        # level tells the television from the person, after what may be a fading last word
        pytest.param([VOICE] * 50 + [MURMUR] * 60, 50, 70, id="a distant voice is not part"),
        pytest.param([VOICE] * 50 + [MURMUR] * 4, 54, 54, id="a fading end is part of it"),
        pytest.param([VOICE] * 50 + [SILENCE] * 4 + [MURMUR], 55, 55, id="so is a last t"),
        pytest.param(
            [SILENCE] * 5 + [VOICE] * 50 + [HISS] * 9,
            *(64, 64),
            id="so is a last s, although no voice",
        ),
        pytest.param([SILENCE] * 5 + [MURMUR] * 50, 55, 59, id="a distant voice alone is speech"),
        pytest.param(
            [SILENCE] * 5 + [SLAM] * 2 + [SILENCE] * 10 + [VOICE] * 60,
            *(77, 77),
            id="a bang before a voice is no measure for it",
        ),
    ],
)
def test_the_end_of_speech(room, earliest, latest):
    end = hear([*room, *[SILENCE] * 40])[1]
    assert end.reason is EndReason.HANGOVER
    assert earliest * 320 <= end.at <= latest * 320


def test_clicks_do_not_add_up_to_speech():
    listener = Listener(config.EndpointingOptions(onset_ms=60), least=samples(160))
    clicks = [*[VOICE] * 2, *[SILENCE] * 5] * 10
    answers = listener.hear([*clicks, *[VOICE] * 3, *[SILENCE] * 40])
    assert [type(answer) for answer in answers] == [SpeechStarted, SpeechDiscarded]


@pytest.mark.parametrize(("spoken", "kind"), [(7, SpeechDiscarded), (8, SpeechOver)])
def test_less_speech_than_the_least_is_discarded(spoken, kind):
    listener = Listener(config.EndpointingOptions(), least=samples(160))
    answers = listener.hear([VOICE] * spoken + [SILENCE] * 40)
    assert isinstance(answers[1], kind)
    assert answers[1].at == spoken * 320


def judged(room: list[Evidence], demand: Demand, until_ms: int | None = None) -> list[Endpoint]:
    """Answers of an endpointer with a demand, which opens every utterance that starts."""
    endpointer = Endpointer(config.EndpointingOptions())
    endpointer.listen(Samples(0), demand)
    answers = []
    for number, evidence in enumerate([*room, *[SILENCE] * 40]):
        answer = endpointer.hear(Frame(Samples(320 * number), b""), evidence)
        if isinstance(answer, SpeechStarted):
            until = None if until_ms is None else samples(until_ms)
            endpointer.begin(answer.at, Samples(0), until)
        elif answer is not None:
            answers.append(answer)
            endpointer.listen(Samples(320 * number + 320))
    return answers


UNSURE = Evidence(speech=True, probability=0.7, level=VOICE.level)
OVER = SpeechOver(Samples(50 * 320), EndReason.HANGOVER)


def refused(reason: str, frames_of_speech: int = 50) -> list[Endpoint]:
    return [SpeechDiscarded(Samples(frames_of_speech * 320), RefusalReason(reason))]


@pytest.mark.parametrize(("factor", "kind"), [(0.9, [OVER]), (1.1, refused("too_quiet"))])
@pytest.mark.parametrize("name", ["syllable", "loudness"])
def test_an_utterance_quieter_than_the_person_is_refused(factor, kind, name):
    assert judged([VOICE] * 50, Demand(**{name: VOICE.level * factor})) == kind


@pytest.mark.parametrize(("factor", "kind"), [(0.9, [OVER]), (1.1, refused("talk"))])
def test_an_utterance_no_louder_than_the_television_is_refused(factor, kind):
    demand = Demand(loudness=VOICE.level * factor, because_of_talk=True)
    assert judged([VOICE] * 50, demand) == kind


def test_one_loud_syllable_makes_no_loud_utterance():
    demand = Demand(syllable=VOICE.level, loudness=VOICE.level)
    room = [VOICE] * 8 + [MURMUR] * 12
    assert [answer.refusal for answer in judged(room, demand)] == [RefusalReason.TOO_QUIET]


@pytest.mark.parametrize(
    ("certain", "kind"),
    [
        (5, [SpeechOver(Samples(20 * 320), EndReason.HANGOVER)]),
        (4, refused("noise", 20)),
    ],
)
def test_speech_of_which_the_model_is_never_certain_is_noise(certain, kind):
    room = [VOICE] * certain + [UNSURE] * (20 - certain)
    assert judged(room, Demand(certain=True)) == kind


@pytest.mark.parametrize(("spoken", "is_noise"), [(14, True), (15, False)])
def test_short_speech_is_louder_than_the_noise_of_the_room(spoken, is_noise):
    louder = judged([VOICE] * spoken, Demand(noise=VOICE.level * 0.9))
    softer = judged([VOICE] * spoken, Demand(noise=VOICE.level * 1.1))
    over = [SpeechOver(Samples(spoken * 320), EndReason.HANGOVER)]
    assert louder == over
    assert softer == (refused("noise", spoken) if is_noise else over)


def test_an_utterance_that_lasts_is_refused_as_soon_as_it_may_not():
    demand = Demand(loudness=VOICE.level)
    answer, _ = judged([MURMUR] * 100, demand, until_ms=1000)
    assert answer == SpeechDiscarded(samples(1000), RefusalReason.TOO_QUIET)
    person = judged([MURMUR] * 30 + [VOICE] * 100, demand, until_ms=1000)
    assert person == [SpeechOver(Samples(130 * 320), EndReason.HANGOVER)]


def test_speech_before_the_listening_does_not_count():
    endpointer = Endpointer(config.EndpointingOptions(onset_ms=40))
    endpointer.listen(Samples(1000))
    answers = [endpointer.hear(Frame(Samples(320 * n), b""), VOICE) for n in range(6)]
    assert answers == [None] * 5 + [SpeechStarted(Samples(1280))]


def test_the_longest_is_counted_from_the_pre_roll():
    listener = Listener(config.EndpointingOptions(max_ms=1000), pre_roll=samples(500))
    listener.hear([SILENCE] * 50 + [VOICE] * 100)
    end = SpeechOver(samples(1500), EndReason.MAX_LENGTH)
    assert listener.answers[1] == (samples(1500), end)


@pytest.mark.parametrize("reason", [EndReason.SOUND_ENDED, EndReason.MICROPHONE_LOST])
def test_speech_is_over_at_the_end_of_sound_or_discarded_if_it_is_too_short(reason):
    listener = Listener(config.EndpointingOptions(), least=samples(160))
    listener.hear([SILENCE] * 10 + [VOICE] * 20 + [SILENCE] * 5)
    assert listener.endpointer.finish(reason) == SpeechOver(Samples(30 * 320), reason)
    listener = Listener(config.EndpointingOptions(), least=samples(160))
    listener.hear([VOICE] * 6)
    assert listener.endpointer.finish(reason) == SpeechDiscarded(Samples(6 * 320))


def test_lost_sound_ends_an_utterance_like_silence():
    endpointer = Endpointer(config.EndpointingOptions(hangover_ms=800))
    for number in range(20):
        if endpointer.hear(Frame(Samples(320 * number), b""), VOICE):
            endpointer.begin(Samples(0), Samples(0))
    after = Frame(Samples(20 * 320 + samples(780)), b"")
    assert endpointer.hear(after, SILENCE) == SpeechOver(Samples(20 * 320), EndReason.HANGOVER)


def test_lost_sound_is_no_onset():
    endpointer = Endpointer(config.EndpointingOptions(onset_ms=100))
    assert endpointer.hear(Frame(Samples(0), b""), VOICE) is None
    assert endpointer.hear(Frame(Samples(16_000), b""), VOICE) is None
