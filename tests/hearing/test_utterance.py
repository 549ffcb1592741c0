from hypothesis import given
from hypothesis import strategies as st

from jarvis_ear.audio.frames import Frame
from jarvis_ear.hearing.utterance import Collector, EndReason
from jarvis_ear.units import FRAME_SAMPLES, Samples

gaps = st.lists(st.sampled_from([0, 0, 0, 1, 320, 5000]), min_size=1, max_size=40)


def frames(gaps_before: list[int]) -> list[Frame]:
    """Frames with so many lost samples before each; every frame with a sound of its own."""
    made, at = [], 1000
    for number, gap in enumerate(gaps_before):
        at += gap
        made.append(Frame(Samples(at), number.to_bytes(2, "little") * FRAME_SAMPLES))
        at += FRAME_SAMPLES
    return made


@given(gaps, st.integers(0, 40))
def test_every_sample_once_and_in_order(gaps_before, known):
    heard = frames(gaps_before)
    known = max(1, min(known, len(heard)))
    collector = Collector()
    collector.begin(Samples(1234), heard[:known])
    for frame in heard[known:]:
        collector.add(frame)
    utterance = collector.finish(Samples(2345), EndReason.HANGOVER)
    assert utterance.pcm == b"".join(frame.pcm for frame in heard)
    assert (utterance.start, utterance.end) == (heard[0].start, heard[-1].end)
    assert (utterance.speech_start, utterance.speech_end) == (1234, 2345)
    assert utterance.reason is EndReason.HANGOVER
    assert utterance.lost == sum(gaps_before[1:])


def test_the_next_utterance_holds_nothing_of_the_last():
    collector = Collector()
    one, other = frames([0]), frames([9000])
    for heard in (one, other):
        collector.begin(heard[0].start, heard)
        assert collector.finish(heard[0].end, EndReason.SOUND_ENDED).pcm == heard[0].pcm


def test_the_given_list_of_frames_is_not_changed():
    before = frames([0, 0])
    collector = Collector()
    collector.begin(Samples(0), before)
    collector.add(frames([0])[0])
    assert len(before) == 2
