"""The outbox on a streaming wire: the utterance is uploaded while it is spoken, and runs once."""

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from jarvis_ear.audio.wav import pcm_to_wav
from jarvis_ear.delivery import events
from jarvis_ear.delivery.events import Finished, Verdict
from jarvis_ear.delivery.outbox import Outbox
from jarvis_ear.delivery.timeouts import Timeouts
from jarvis_ear.delivery.transitions import (
    AT_MOST_ONCE,
    Emit,
    Replace,
    Send,
    SetState,
    SpoolState,
    Upload,
    UploadMode,
)
from jarvis_ear.delivery.utterance import Utterance
from jarvis_ear.wires.messages import (
    Answer,
    AudioEnd,
    AudioPart,
    AudioStart,
    BackendError,
    Listening,
    PartialTranscript,
    Pong,
    Processing,
    Transcript,
    TtsDone,
)

START, END = Send(AudioStart()), Send(AudioEnd())
READY = Listening("den")


def utterance(name, pcm, ended_at=0.0):
    return Utterance(name, pcm_to_wav(pcm), len(pcm), ended_at)


def part(offset, pcm):
    return Send(AudioPart(offset, pcm))


def rest(offset, pcm):
    return Upload(AudioPart(offset, pcm))


@pytest.fixture
def box():
    return Outbox("den", Timeouts(), AT_MOST_ONCE, UploadMode.STREAMED)


def test_a_wire_that_takes_sentences_whole_gets_nothing_before(box):
    whole = Outbox("den", Timeouts())
    whole.link_up(0.0)
    assert whole.grew("t1", 0, b"abcd", 0.0) == ()
    assert whole.discarded("t1", 0.0) == ()


def test_a_sentence_is_uploaded_while_it_is_spoken_and_its_end_is_the_commit(box):
    box.link_up(0.0)
    assert box.grew("t1", 0, b"abcd", 0.0) == (START, part(0, b"abcd"))
    assert box.hear(READY, 0.1) == ()
    assert box.grew("t1", 4, b"ef", 0.2) == (part(4, b"ef"),)
    assert box.hear(PartialTranscript("what"), 0.3) == (
        Emit(events.PartlyTranscribed("t1", "what")),
    )
    assert box.put(utterance("t1", b"abcdefgh"), 0.4) == (rest(6, b"gh"),)
    assert box.hear(PartialTranscript("what time"), 0.4) == (
        Emit(events.PartlyTranscribed("t1", "what time")),
    )
    assert box.flushed(0.5) == (SetState("t1", SpoolState.SENT),)
    assert box.recorded("t1", 0.5, ok=True) == (END, Emit(events.Sent("t1", 8, 52, 0)))
    assert box.hear(Processing(), 0.6)[1] == Emit(events.ProcessingStarted("t1"))
    assert box.hear(Transcript("what time is it"), 0.7) == (
        Emit(events.Transcribed("t1", "what time is it")),
    )
    assert box.hear(PartialTranscript("late"), 0.7) == ()
    assert box.hear(Answer("noon"), 0.8) == (Emit(events.Answered("t1", "noon")),)
    assert box.hear(TtsDone(0), 0.9) == (Emit(Finished("t1", Verdict.DONE, "", 0)),)


def test_an_utterance_that_was_not_begun_goes_up_at_once(box):
    box.link_up(0.0)
    assert box.put(utterance("t1", b"abcd"), 0.0) == (START,)
    assert box.hear(PartialTranscript("early"), 0.1) == (
        Emit(events.PartlyTranscribed("t1", "early")),
    )
    assert box.hear(READY, 0.1) == (rest(0, b"abcd"),)


def test_a_start_that_nobody_answers_commits_nothing(box):
    box.link_up(0.0)
    box.grew("t1", 0, b"abcd", 0.0)
    assert box.put(utterance("t1", b"abcdef"), 1.0) == ()
    assert box.tick(4.0) == (Replace("waited too long"),)
    assert box.link_up(4.1) == (START,)
    assert box.hear(READY, 4.2) == (rest(0, b"abcdef"),)


def test_a_link_that_drops_in_the_middle_of_an_utterance_is_begun_anew_on_the_next(box):
    box.link_up(0.0)
    box.grew("t1", 0, b"abcd", 0.0)
    box.hear(READY, 0.1)
    assert box.link_lost(0.2) == ()
    assert box.grew("t1", 4, b"ef", 0.3) == ()
    assert box.link_up(0.4) == (START, part(0, b"abcdef"))
    assert box.put(utterance("t1", b"abcdef"), 0.5) == ()  # this link has not answered yet
    assert box.hear(READY, 0.6) == (rest(6, b""),)


def test_a_link_that_is_not_back_in_time_gets_the_whole_of_it(box):
    box.link_up(0.0)
    box.grew("t1", 0, b"abcd", 0.0)
    box.link_lost(0.2)
    assert box.put(utterance("t1", b"abcdef"), 0.5) == ()
    assert box.link_up(0.6) == (START,)


def test_what_was_no_sentence_is_taken_back(box):
    box.link_up(0.0)
    box.grew("t1", 0, b"abcd", 0.0)
    assert box.discarded("t2", 0.1) == ()
    assert box.discarded("t1", 0.1) == (Replace("no utterance"),)
    assert box.discarded("t1", 0.1) == ()
    assert box.grew("t1", 4, b"ef", 0.2) == ()
    assert box.link_up(0.3) == ()


def test_an_utterance_that_is_abandoned_any_more_is_taken_back(box):
    box.link_up(0.0)
    box.grew("t1", 0, b"abcd", 0.0)
    assert box.abandon("t1", 0.1) == (Replace("no utterance"),)


def test_speech_that_begins_again_replaces_what_went_up(box):
    box.link_up(0.0)
    box.grew("t1", 0, b"abcd", 0.0)
    assert box.grew("t1", 0, b"xy", 0.1) == (Replace("restarted"),)
    assert box.link_up(0.2) == (START, part(0, b"xy"))


def test_a_gap_in_what_is_said_waits_for_the_whole(box):
    box.link_up(0.0)
    box.grew("t1", 0, b"abcd", 0.0)
    assert box.grew("t1", 8, b"ij", 0.1) == (Replace("cannot be streamed"),)
    assert box.link_up(0.2) == ()
    assert box.put(utterance("t1", b"abcdefghij"), 0.3) == (START,)


def test_another_sound_than_what_went_up_goes_up_anew(box):
    box.link_up(0.0)
    box.grew("t1", 0, b"abcd", 0.0)
    assert box.put(utterance("t1", b"abXX"), 0.1) == (Replace("differs from what was uploaded"),)
    assert box.link_up(0.2) == (START,)


def test_an_utterance_that_no_backend_takes_is_taken_back_too(box):
    box.link_up(0.0)
    box.grew("t1", 0, b"abcd", 0.0)
    assert box.put(Utterance("t1", b"", 5, 0.0), 0.1) == (
        Replace("no utterance"),
        Emit(Finished("t1", Verdict.FAILED, "bad_audio", 0)),
    )


def test_nothing_goes_ahead_of_an_utterance_that_waits(box):
    box.link_up(0.0)
    box.put(utterance("t1", b"abcd"), 0.0)
    assert box.grew("t2", 0, b"wxyz", 0.1) == ()
    box.hear(READY, 0.2)
    box.flushed(0.3)
    box.recorded("t1", 0.3, ok=True)
    box.hear(Processing(), 0.4)
    *_, start, sound = box.hear(TtsDone(0), 0.5)
    assert (start, sound) == (START, part(0, b"wxyz"))


def test_an_utterance_that_is_ready_goes_before_one_that_is_being_said(box):
    box.link_up(0.0)
    box.grew("t2", 0, b"wxyz", 0.0)
    assert box.put(utterance("t1", b"abcd"), 0.1) == (Replace("another utterance is ready"),)
    assert box.link_up(0.2) == (START,)


def test_a_backend_that_refuses_a_sentence_in_the_middle_gets_it_whole(box):
    box.link_up(0.0)
    box.grew("t1", 0, b"abcd", 0.0)
    assert box.hear(BackendError("no"), 0.1) == (Replace("backend refused it"),)
    assert box.link_up(0.2) == ()
    assert box.put(utterance("t1", b"abcdef"), 0.3) == (START,)


def test_a_backend_that_finds_an_end_of_its_own_has_it(box):
    box.link_up(0.0)
    box.grew("t1", 0, b"abcd", 0.0)
    for message in (READY, Pong(), Processing(), Transcript("what time")):
        assert box.hear(message, 0.1) == ()
    assert box.grew("t1", 4, b"ef", 0.2) == ()
    assert box.put(utterance("t1", b"abcdefgh"), 0.3) == (
        SetState("t1", SpoolState.TAKEN),
        Emit(events.ProcessingStarted("t1")),
        Emit(events.Transcribed("t1", "what time")),
    )
    assert box.hear(TtsDone(0), 0.4) == (
        Replace("reply complete"),  # the rest of the sentence is no beginning of the next
        Emit(Finished("t1", Verdict.DONE, "", 0)),
    )


def test_what_a_backend_began_to_run_is_never_sent_again(box):
    box.link_up(0.0)
    box.grew("t1", 0, b"abcd", 0.0)
    box.hear(Processing(), 0.1)
    box.link_lost(0.2)
    assert box.link_up(0.3) == ()
    assert box.put(utterance("t1", b"abcdef"), 0.4) == (
        Emit(Finished("t1", Verdict.IN_DOUBT, "link_lost", 0)),
    )


class AnyStream(RuleBasedStateMachine):
    """Whatever a person, a network and a backend do: one sound at a time on a link, run once."""

    def __init__(self):
        super().__init__()
        self.box = Outbox("den", Timeouts(), AT_MOST_ONCE, UploadMode.STREAMED)
        self.now, self.linked, self.counted = 0.0, False, 0
        self.on_link = None
        self.saying = None
        self.sounds, self.ended, self.ran = {}, {}, []

    def take(self, effects):
        for effect in effects:
            match effect:
                case Replace():
                    self.linked, self.on_link = False, None
                case Send(AudioStart()):
                    assert self.linked
                    assert self.on_link is None, "two sounds on one link"
                    self.on_link = b""
                case Send(AudioPart(offset, pcm)) | Upload(AudioPart(offset, pcm)):
                    assert offset == len(self.on_link)
                    self.on_link += pcm
                case Send(AudioEnd()):
                    [name] = [name for name, pcm in self.sounds.items() if pcm == self.on_link]
                    assert name not in self.ran
                    self.ran.append(name)
                    self.on_link = None
                case SetState(turn_id, SpoolState.SENT):
                    self.take(self.box.recorded(turn_id, self.now, ok=True))
                case Emit(Finished() as end):
                    assert end.turn_id not in self.ended
                    self.ended[end.turn_id] = end
                case _:
                    pass

    @rule(seconds=st.sampled_from([0.1, 3.1, 31.0]))
    def time_passes(self, seconds):
        self.now += seconds
        for _ in range(20):
            if self.box.deadline <= self.now:
                self.take(self.box.tick(self.now))

    @precondition(lambda self: self.saying is None)
    @rule()
    def somebody_begins(self):
        self.counted += 1
        self.saying = (f"t{self.counted}", b"")
        self.says(self.counted.to_bytes(2, "big") * 2)

    @precondition(lambda self: self.saying is not None)
    @rule(pcm=st.binary(min_size=2, max_size=8).filter(lambda pcm: len(pcm) % 2 == 0))
    def says(self, pcm):
        name, said = self.saying
        self.saying = (name, said + pcm)
        self.take(self.box.grew(name, len(said), pcm, self.now))

    @precondition(lambda self: self.saying is not None)
    @rule(tail=st.sampled_from([b"", b"zz"]))
    def ends(self, tail):
        name, said = self.saying
        self.saying, self.sounds[name] = None, said + tail
        self.take(self.box.put(utterance(name, said + tail, self.now), self.now))

    @precondition(lambda self: self.saying is not None)
    @rule()
    def was_nothing(self):
        (name, _), self.saying = self.saying, None
        self.take(self.box.discarded(name, self.now))

    @precondition(lambda self: not self.linked)
    @rule()
    def link_comes(self):
        self.linked, self.on_link = True, None
        self.take(self.box.link_up(self.now))

    @precondition(lambda self: self.linked)
    @rule()
    def link_goes(self):
        self.linked, self.on_link = False, None
        self.take(self.box.link_lost(self.now))

    @precondition(lambda self: self.linked)
    @rule(message=st.sampled_from([READY, Transcript("hi"), TtsDone(0), PartialTranscript("h")]))
    def backend_speaks(self, message):
        self.take(self.box.hear(message, self.now))

    @precondition(lambda self: self.linked)
    @rule()
    def socket_takes_all(self):
        self.take(self.box.flushed(self.now))

    @invariant()
    def each_has_a_verdict_or_waits(self):
        assert len(self.box) == len(self.sounds) - len(self.ended)


AnyStream.TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
TestAnyStream = AnyStream.TestCase
