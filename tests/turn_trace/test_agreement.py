"""The reducer takes any events in any order, and the views agree on how every turn ended."""

import logging
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fakes.turns import ScriptedTurns, utterance
from jarvis_ear.config import BusOptions, Config
from jarvis_ear.config_checks import NEWS
from jarvis_ear.control.feed import Feed
from jarvis_ear.delivery import events as delivery
from jarvis_ear.delivery.playback import (
    Playback,
    PlaybackEnded,
    PlaybackReported,
    PlaybackStarted,
    Unheard,
)
from jarvis_ear.hearing import events as hearing
from jarvis_ear.turn_trace.journal_view import JournalView
from jarvis_ear.turn_trace.json_views import BusView, ConsoleView
from jarvis_ear.turn_trace.trace import (
    Stage,
    TraceEvent,
    TurnEnded,
    TurnForgotten,
    TurnTrace,
    WordsForgotten,
)
from jarvis_ear.units import Samples

IDS = st.sampled_from(["a", "b", "c"])
REASONS = st.sampled_from(["DeadlinePassed", "WakeDetected", "Hushed", "Muted"])
STATES = st.sampled_from(hearing.State)
COUNTS = st.integers(0, 3)
PLAYBACKS = st.builds(Playback, st.booleans(), COUNTS, st.sampled_from(Unheard))

ENDINGS = st.one_of(
    st.builds(hearing.TurnDropped, IDS, REASONS, st.sampled_from(["", "kitchen"])),
    st.builds(
        delivery.Finished,
        IDS,
        st.sampled_from(delivery.Verdict),
        st.sampled_from(delivery.Cause).map(str),
        COUNTS,
        COUNTS,
    ),
    st.builds(delivery.Kept, IDS),
)
PROGRESS = st.one_of(
    st.builds(
        hearing.StateChanged, STATES, STATES, st.just(Samples(0)), REASONS | st.just("Failed()")
    ),
    st.builds(hearing.TurnOpened, IDS, IDS, st.just(Samples(0)), st.none() | st.floats(0, 1)),
    st.builds(hearing.SendUtterance, IDS, st.just(utterance())),
    st.builds(hearing.UtteranceGrew, IDS, COUNTS, st.just(b"")),
    st.builds(hearing.AbandonTurn, IDS, REASONS),
    st.builds(hearing.StopSpeaking, IDS),
    st.builds(hearing.TurnConfirmed, IDS),
    st.builds(hearing.Ignored, STATES, st.just(hearing.Muted())),
    st.builds(delivery.LinkUp, st.just("http://a:1"), st.none()),
    st.builds(delivery.LinkDown, st.just("refused")),
    st.builds(delivery.Sent, IDS, COUNTS, COUNTS, COUNTS),
    st.builds(delivery.ProcessingStarted, IDS),
    st.builds(delivery.PartlyTranscribed, IDS, st.text()),
    st.builds(delivery.Transcribed, IDS, st.text()),
    st.builds(delivery.ThinkingStarted, IDS, st.just("builtin")),
    st.builds(delivery.Answered, IDS, st.text()),
    st.builds(delivery.ReplyAudio, IDS, COUNTS, st.just("audio/wav"), st.just(b"x")),
    st.builds(delivery.ChunksMissing, IDS, st.just((1,))),
    st.builds(delivery.Refused, IDS, st.just("stt_failed"), st.just(1.0)),
    st.builds(delivery.StillWaiting, IDS),
    st.builds(delivery.UnaskedSpeech, st.just(1)),
    st.builds(
        delivery.Announced, st.just("news"), st.just((delivery.ReplyAudio("news", 0, "", b"x"),))
    ),
    st.builds(PlaybackStarted, IDS),
    st.builds(PlaybackReported, IDS, PLAYBACKS),
    st.builds(PlaybackEnded, IDS),
)
OF_THE_HISTORY = st.one_of(
    st.builds(TurnEnded, IDS), st.builds(WordsForgotten, IDS), st.builds(TurnForgotten, IDS)
)
STEPS = st.lists(st.tuples(ENDINGS | PROGRESS, st.floats(0, 5)), max_size=40)


@given(st.lists(ENDINGS | PROGRESS | OF_THE_HISTORY, max_size=40))
def test_a_trace_takes_any_events_in_any_order(events: list[TraceEvent]) -> None:
    trace = TurnTrace("a")
    for now, event in enumerate(events):
        before, trace = trace, trace.after(event, now)
        assert before.outcome in ("", trace.outcome)  # the first outcome counts
        assert trace.is_over or trace.outcome == "" or trace.finished
        assert not before.is_played or trace.is_played
        latencies = trace.latencies_ms()
        assert list(latencies) == sorted(latencies, key=list(Stage).index)
        assert trace.utterance is None or trace.utterance.pcm == b""
        if trace.answer_ms() is not None:
            assert sum(trace.spent_ms().values()) == trace.answer_ms()
        assert (trace.heard() == ("", "")) == (trace.finished is None)


class Records(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.of_endings: dict[str, dict[str, object]] = {}

    def emit(self, record: logging.LogRecord) -> None:
        fields = vars(record)
        if fields.get("EVENT") == "TurnEnded" and fields["OUTCOME"] != "announced":  # no turn
            assert fields["TURN_ID"] not in self.of_endings
            self.of_endings[fields["TURN_ID"]] = fields


@pytest.fixture(scope="module")
def logger() -> Iterator[logging.Logger]:
    logger = logging.getLogger("jarvis_ear.test_agreement")
    logger.propagate = False
    logger.setLevel(logging.DEBUG)
    yield logger
    logger.handlers.clear()


@settings(max_examples=300)
@given(steps=STEPS)
def test_the_views_agree_on_every_ending(logger: logging.Logger, steps) -> None:
    records, feed, posted = Records(), Feed(), []
    logger.handlers = [records]
    turns = ScriptedTurns(JournalView(logger), ConsoleView(feed), BusView(posted.append))
    turns.history.change(Config(bus=BusOptions(publish=", ".join(NEWS))))
    ended = set()
    for event, pause_s in steps:
        if isinstance(event, hearing.TurnDropped | delivery.Finished | delivery.Kept):
            if event.turn_id in ended:  # the events of a turn have one ending
                continue
            ended.add(event.turn_id)
        turns.wait(round(1000 * pause_s)).tell(event)
    turns.history.close()
    topics = {key: value for key, value in feed.snapshot().topics.items() if "turn:" in key}
    assert {f"turn:{turn_id}" for turn_id in records.of_endings} == set(topics)
    for turn_id, fields in records.of_endings.items():
        topic = topics[f"turn:{turn_id}"]
        own = {"no_speech": "dropped", "answered_elsewhere": "dropped", "unfinished": ""}
        outcome = own.get(fields["OUTCOME"], fields["OUTCOME"])
        assert outcome == topic["outcome"]
        assert fields.get("HEARD", "") == topic["heard"]
        assert fields.get("HEARD_REASON", "") == topic["heard_reason"]
        latencies = {
            name.removeprefix("LATENCY_").removesuffix("_MS").lower(): ms
            for name, ms in fields.items()
            if name.startswith("LATENCY_") and name != "LATENCY_ANSWER_MS"
        }
        assert latencies | {"end_of_speech": 0} == topic["stages_ms"] | {"end_of_speech": 0}
        verdicts = {
            (event.data["verdict"], event.data["code"])
            for event in posted
            if event.type == "turn" and event.data["turnId"] == turn_id
        }
        expected = {(outcome, fields.get("CAUSE", ""))}
        assert verdicts == (expected if outcome not in ("", "kept") else set())
