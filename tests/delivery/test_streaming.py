"""The outbox on a streaming wire: the utterance is uploaded while it is spoken, and runs once."""

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from jarvis_ear.audio.wav import pcm_to_wav
from jarvis_ear.delivery import events, transitions
from jarvis_ear.delivery.events import Finished, Verdict
from jarvis_ear.delivery.outbox import Outbox
from jarvis_ear.delivery.timeouts import Timeouts
from jarvis_ear.delivery.transitions import Emit, Replace, Send, SetState, SpoolState, Upload
from jarvis_ear.delivery.utterance import Utterance
from jarvis_ear.wires import messages as wire

START, END = Send(wire.AudioStart()), Send(wire.AudioEnd())
READY = wire.Listening("den")


def finished(verdict, code=""):
    return Emit(Finished("t1", verdict, code, 0))


def utterance(name, pcm, ended_at=0.0):
    return Utterance(name, pcm_to_wav(pcm), len(pcm), ended_at)


def part(offset, pcm):
    return Send(wire.AudioPart(offset, pcm))


def rest(offset, pcm):
    return Upload(wire.AudioPart(offset, pcm))


def streaming_outbox():
    return Outbox("den", Timeouts(), transitions.AT_MOST_ONCE, transitions.UploadMode.STREAMED)


@pytest.fixture
def box():
    """An outbox of a streaming wire, with a link."""
    box = streaming_outbox()
    box.link_up(0.0)
    return box


@pytest.fixture
def begun(box):
    """The same, with the beginning of an utterance uploaded."""
    assert box.grew("t1", 0, b"abcd", 0.0) == (START, part(0, b"abcd"))
    return box


def test_a_wire_that_takes_sentences_whole_gets_nothing_before():
    whole = Outbox("den", Timeouts())
    whole.link_up(0.0)
    assert whole.grew("t1", 0, b"abcd", 0.0) == ()
    assert whole.discarded("t1", 0.0) == ()


def test_a_sentence_is_uploaded_while_it_is_spoken_and_its_end_is_the_commit(begun):
    assert begun.hear(READY, 0.1) == ()
    assert begun.grew("t1", 4, b"ef", 0.2) == (part(4, b"ef"),)
    partial = Emit(events.PartlyTranscribed("t1", "what"))
    assert begun.hear(wire.PartialTranscript("what"), 0.3) == (partial,)
    assert begun.put(utterance("t1", b"abcdefgh"), 0.4) == (rest(6, b"gh"),)
    partial = Emit(events.PartlyTranscribed("t1", "what time"))
    assert begun.hear(wire.PartialTranscript("what time"), 0.4) == (partial,)
    assert begun.flushed(0.5) == (SetState("t1", SpoolState.SENT),)
    assert begun.recorded("t1", 0.5, ok=True) == (END, Emit(events.Sent("t1", 8, 52, 0)))
    assert begun.hear(wire.Processing(), 0.6)[1] == Emit(events.ProcessingStarted("t1"))
    final = Emit(events.Transcribed("t1", "what time is it"))
    assert begun.hear(wire.Transcript("what time is it"), 0.7) == (final,)
    assert begun.hear(wire.PartialTranscript("late"), 0.7) == ()
    assert begun.hear(wire.Answer("noon"), 0.8) == (Emit(events.Answered("t1", "noon")),)
    assert begun.hear(wire.TtsDone(0), 0.9) == (finished(Verdict.DONE),)


WITHDRAWN = {
    "discarded": (lambda box: box.discarded("t1", 0.1), "no utterance", ()),
    "abandoned": (lambda box: box.abandon("t1", 0.1), "no utterance", ()),
    "begun again": (
        lambda box: box.grew("t1", 0, b"xy", 0.1),
        "restarted",
        (START, part(0, b"xy")),
    ),
    "gap": (lambda box: box.grew("t1", 8, b"ij", 0.1), "cannot be streamed", ()),
    "another sound": (
        lambda box: box.put(utterance("t1", b"abXX"), 0.1),
        "differs from what was uploaded",
        (START,),
    ),
    "another utterance": (
        lambda box: box.put(utterance("t2", b"abcd"), 0.1),
        "another utterance is ready",
        (START,),
    ),
    "refused": (lambda box: box.hear(wire.BackendError("no"), 0.1), "backend refused it", ()),
}


@pytest.mark.parametrize(("step", "reason", "on_next_link"), WITHDRAWN.values(), ids=WITHDRAWN)
def test_an_upload_is_withdrawn_with_its_link(begun, step, reason, on_next_link):
    assert step(begun) == (Replace(reason),)
    assert begun.link_up(0.2) == on_next_link


@pytest.mark.parametrize("why", ["gap", "refused"])
def test_an_utterance_whose_upload_was_withdrawn_is_sent_whole(begun, why):
    WITHDRAWN[why][0](begun)
    begun.link_up(0.2)
    assert begun.put(utterance("t1", b"abcdefghij"), 0.3) == (START,)


def test_a_discarded_utterance_is_not_begun_again(begun):
    assert begun.discarded("t2", 0.1) == ()
    begun.discarded("t1", 0.1)
    assert begun.discarded("t1", 0.1) == begun.grew("t1", 4, b"ef", 0.2) == begun.link_up(0.3) == ()


def test_an_utterance_that_was_not_begun_goes_up_at_once(box):
    assert box.put(utterance("t1", b"abcd"), 0.0) == (START,)
    early = Emit(events.PartlyTranscribed("t1", "early"))
    assert box.hear(wire.PartialTranscript("early"), 0.1) == (early,)
    assert box.hear(READY, 0.1) == (rest(0, b"abcd"),)


def test_an_unanswered_start_commits_nothing(begun):
    assert begun.put(utterance("t1", b"abcdef"), 1.0) == ()
    assert begun.tick(4.0) == (Replace("waited too long"),)
    assert begun.link_up(4.1) == (START,)
    assert begun.hear(READY, 4.2) == (rest(0, b"abcdef"),)


def test_a_link_that_drops_in_the_middle_of_an_utterance_is_begun_anew_on_the_next(begun):
    begun.hear(READY, 0.1)
    assert begun.link_lost(0.2) == ()
    assert begun.grew("t1", 4, b"ef", 0.3) == ()
    assert begun.link_up(0.4) == (START, part(0, b"abcdef"))
    assert begun.put(utterance("t1", b"abcdef"), 0.5) == ()  # this link has not answered yet
    assert begun.hear(READY, 0.6) == (rest(6, b""),)


def test_a_link_that_is_back_too_late_gets_the_whole_utterance(begun):
    begun.link_lost(0.2)
    assert begun.put(utterance("t1", b"abcdef"), 0.5) == ()
    assert begun.link_up(0.6) == (START,)


def test_an_utterance_that_no_backend_takes_is_withdrawn(begun):
    effects = begun.put(Utterance("t1", b"", 5, 0.0), 0.1)
    assert effects == (Replace("no utterance"), finished(Verdict.FAILED, "bad_audio"))


def test_nothing_goes_ahead_of_an_utterance_that_waits(box):
    box.put(utterance("t1", b"abcd"), 0.0)
    assert box.grew("t2", 0, b"wxyz", 0.1) == ()
    box.hear(READY, 0.2)
    box.flushed(0.3)
    box.recorded("t1", 0.3, ok=True)
    box.hear(wire.Processing(), 0.4)
    *_, start, sound = box.hear(wire.TtsDone(0), 0.5)
    assert (start, sound) == (START, part(0, b"wxyz"))


def test_a_backend_that_finds_an_end_of_its_own_has_it(begun):
    for message in (READY, wire.Pong(), wire.Processing(), wire.Transcript("what time")):
        assert begun.hear(message, 0.1) == ()
    assert begun.grew("t1", 4, b"ef", 0.2) == ()
    assert begun.put(utterance("t1", b"abcdefgh"), 0.3) == (
        SetState("t1", SpoolState.TAKEN),
        Emit(events.ProcessingStarted("t1")),
        Emit(events.Transcribed("t1", "what time")),
    )
    # The rest of the sentence is no beginning of the next.
    end = (Replace("reply complete"), finished(Verdict.DONE))
    assert begun.hear(wire.TtsDone(0), 0.4) == end


def test_an_utterance_that_a_backend_began_to_run_is_never_sent_again(begun):
    begun.hear(wire.Processing(), 0.1)
    begun.link_lost(0.2)
    assert begun.link_up(0.3) == ()
    in_doubt = finished(Verdict.IN_DOUBT, "link_lost")
    assert begun.put(utterance("t1", b"abcdef"), 0.4) == (in_doubt,)


class AnyStream(RuleBasedStateMachine):
    """Whatever a person, a network and a backend do: one sound at a time on a link, run once."""

    def __init__(self):
        super().__init__()
        self.box = streaming_outbox()
        self.now, self.linked, self.counted = 0.0, False, 0
        self.on_link = None
        self.saying = None
        self.sounds, self.ended, self.ran = {}, {}, []

    def take(self, effects):
        for effect in effects:
            match effect:
                case Replace():
                    self.linked, self.on_link = False, None
                case Send(wire.AudioStart()):
                    assert self.linked
                    assert self.on_link is None, "two sounds on one link"
                    self.on_link = b""
                case Send(wire.AudioPart(offset, pcm)) | Upload(wire.AudioPart(offset, pcm)):
                    assert offset == len(self.on_link)
                    self.on_link += pcm
                case Send(wire.AudioEnd()):
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
    def person_begins(self):
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
    @rule(
        message=st.sampled_from(
            [READY, wire.Transcript("hi"), wire.TtsDone(0), wire.PartialTranscript("h")]
        )
    )
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
