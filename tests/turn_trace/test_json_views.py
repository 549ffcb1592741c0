"""What consoles and members of the event bus see of the turns: what the options allow, no more."""

import pytest

from fakes.turns import ScriptedTurns, options
from jarvis_ear.config import (
    HOOKS,
    BackendOptions,
    BusOptions,
    Config,
    ConsoleOptions,
    HearingOptions,
    WakeOptions,
)
from jarvis_ear.config_checks import NEWS
from jarvis_ear.control.feed import Feed
from jarvis_ear.delivery import events as delivery
from jarvis_ear.delivery.events import Cause, Verdict
from jarvis_ear.delivery.playback import Playback, PlaybackEnded, PlaybackReported, PlaybackStarted
from jarvis_ear.hearing import events as hearing
from jarvis_ear.hearing.events import State
from jarvis_ear.hooks.event import HookEvent
from jarvis_ear.turn_trace.history import MAX_TURNS as MAX_KEPT
from jarvis_ear.turn_trace.history import TurnHistory
from jarvis_ear.turn_trace.json_views import (
    MAX_QUOTED,
    MAX_TURNS,
    BusView,
    ConsoleView,
    HookView,
)
from jarvis_ear.units import Samples, samples


class Scene(ScriptedTurns):
    """A feed with the turns; every event takes a tenth of a second."""

    def __init__(self, *, transcripts: bool = True) -> None:
        self.feed = Feed()
        super().__init__(ConsoleView(self.feed, wall=lambda: 2000.0), transcripts=transcripts)

    def topic(self, name: str):
        return self.feed.snapshot().topics.get(name)

    def turns(self) -> set[str]:
        return {topic for topic in self.feed.snapshot().topics if topic.startswith("turn:")}

    def told(self, *events) -> None:
        for event in events:
            self.wait(100).tell(event)


@pytest.fixture
def scene():
    return Scene()


SOUND = delivery.ReplyAudio("ab", 0, "audio/wav", b"x")
DONE = delivery.Finished("ab", Verdict.DONE, "", 1)


def test_the_state_and_the_link_are_shown(scene):
    scene.tell(hearing.StateChanged(State.IDLE, State.MUTED, Samples(0), "Muted"))
    assert scene.topic("state") == {"name": "muted", "why": "muted", "at": 2000.0}
    scene.told(delivery.LinkUp("http://127.0.0.1:4000", None))
    assert scene.topic("link")["url"] == "http://127.0.0.1:4000"
    scene.told(delivery.LinkDown("refused"))
    assert scene.topic("link")["why"] == "refused"
    assert not scene.topic("link")["up"]


def test_a_turn_and_where_its_time_went(scene):
    scene.wake("ab").capture("ab")
    scene.told(delivery.Sent("ab", 1, 2, 3), delivery.ProcessingStarted("ab"))
    scene.told(delivery.Transcribed("ab", "what time is it"))
    scene.told(delivery.ThinkingStarted("ab", "builtin"), SOUND, DONE)
    scene.tell(PlaybackStarted("ab")).wait(1000).tell(PlaybackEnded("ab"))
    assert scene.topic("turn:ab") == {
        "id": "ab",
        "began_at": 2000.0,
        "score": 0.97,
        "speech_s": 1.62,
        "stages_ms": {
            "wake": -1620,
            "end_of_speech": 0,
            "captured": 800,
            "sent": 900,
            "processing": 1000,
            "transcript": 1100,
            "first_audio": 1400,
            "done": 2400,
        },
        "outcome": "done",
        "cause": "",
        "provider": "builtin",
        "chunks": 1,
        "heard": "all",
        "heard_reason": "",
        "characters": 15,
        "transcript": "what time is it",
    }


def test_words_are_forgotten_when_the_owner_does_not_want_them_any_more(scene):
    watcher = scene.feed.subscribe()
    watcher.fetch()
    scene.wake("ab").capture("ab")
    scene.told(delivery.PartlyTranscribed("ab", "my secret"))
    scene.wake("cd").capture("cd")
    scene.told(delivery.Transcribed("cd", "a secret"), delivery.Answered("cd", "the secret answer"))
    scene.history.change(options(transcripts=False))
    assert "secret" not in repr(scene.feed.snapshot())
    assert "secret" not in repr(watcher.fetch())
    scene.told(delivery.PartlyTranscribed("ab", "more secrets"), delivery.Answered("ab", "secrets"))
    assert "secret" not in repr(watcher.fetch())
    assert scene.topic("turn:cd")["characters"] == 8
    assert scene.topic("turn:cd")["reply_characters"] == 17


@pytest.mark.parametrize("shown", [True, False])
def test_words_are_shown_only_if_the_owner_wants_it(shown):
    scene = Scene(transcripts=shown)
    scene.wake("ab").capture("ab")
    scene.told(*(delivery.PartlyTranscribed("ab", text) for text in ("my", "my secret")))
    assert scene.topic("turn:ab").get("partial") == ("my secret" if shown else None)
    scene.told(delivery.Transcribed("ab", "a secret"), delivery.Answered("ab", "Secret."))
    turn = scene.topic("turn:ab")
    assert "partial" not in turn
    assert (turn["characters"], turn["reply_characters"]) == (8, 7)
    expected = ("a secret", "Secret.") if shown else (None, None)
    assert (turn.get("transcript"), turn.get("reply")) == expected
    assert ("ecret" in repr(scene.feed.snapshot())) is shown


def test_a_long_answer_is_cut(scene):
    scene.wake("ab").capture("ab")
    scene.told(delivery.Transcribed("ab", "x" * 100_000), delivery.Answered("ab", "y" * 100_000))
    scene.told(delivery.ThinkingStarted("ab", "z" * 100_000))
    assert scene.topic("turn:ab")["characters"] == 100_000
    assert len(repr(scene.topic("turn:ab"))) < 3 * MAX_QUOTED + 1000


def test_a_turn_that_was_dropped_or_failed_or_waits_for_the_next_start(scene):
    scene.tell(hearing.TurnOpened("ef", "s", samples(700), None))
    scene.tell(hearing.UtteranceGrew("ef", 0, b"xx"))
    scene.tell(hearing.TurnDropped("ef", "DeadlinePassed"))
    turn = scene.topic("turn:ef")
    assert (turn["outcome"], turn["cause"], turn["score"]) == ("dropped", "no speech", None)
    scene.wake("ab").capture("ab")
    scene.told(delivery.Finished("ab", Verdict.FAILED, "not_understood", 0))
    assert scene.topic("turn:ab")["cause"] == "not_understood"
    assert "done" in scene.topic("turn:ab")["stages_ms"]
    scene.wake("cd").capture("cd")
    scene.told(delivery.Kept("cd"))
    assert scene.topic("turn:cd")["outcome"] == "kept"


def test_how_much_was_heard_is_shown_when_the_reply_is_over(scene):
    scene.wake("ab").capture("ab")
    scene.told(SOUND, delivery.ChunksMissing("ab", (1,)))
    scene.told(delivery.Finished("ab", Verdict.DONE, "", 1, 1), delivery.UnaskedSpeech(1))
    assert scene.topic("turn:ab")["heard"] == ""
    scene.tell(PlaybackReported("ab", Playback()), PlaybackEnded("ab"))
    turn = scene.topic("turn:ab")
    assert (turn["heard"], turn["heard_reason"]) == ("part", "sentences_missing")


@pytest.mark.parametrize(
    ("reason", "heard", "why"),
    [("Hushed", "interrupted", "interrupted"), ("DeadlinePassed", "part", "too_long")],
)
def test_what_stopped_a_reply_is_shown(scene, reason, heard, why):
    scene.wake("ab").capture("ab")
    scene.told(SOUND, DONE)
    scene.tell(PlaybackStarted("ab"))
    assert "done" not in scene.topic("turn:ab")["stages_ms"]
    scene.tell(hearing.StopSpeaking("ab"), hearing.AbandonTurn("ab", reason))
    turn = scene.topic("turn:ab")
    assert (turn["heard"], turn["heard_reason"]) == (heard, why)
    assert "done" in turn["stages_ms"]


def test_the_last_turns_are_shown_and_an_announcement_is_none(scene):
    scene.tell(PlaybackStarted("news"), PlaybackReported("news", Playback()), PlaybackEnded("news"))
    scene.tell(hearing.AbandonTurn("news", "Hushed"), hearing.StopSpeaking(""))
    assert scene.turns() == set()
    for number in range(MAX_TURNS + 3):
        scene.wake(f"t{number}").capture(f"t{number}")
    assert scene.turns() == {f"turn:t{number}" for number in range(3, MAX_TURNS + 3)}


def test_the_options_in_force_are_shown(scene):
    scene.history.change(Config())
    assert scene.topic("words") == {"shown": False}
    hearing = HearingOptions(wake=WakeOptions(threshold=0.7))
    scene.history.change(Config(hearing=hearing, console=ConsoleOptions(transcripts=True)))
    assert scene.topic("words") == {"shown": True}
    assert scene.topic("wake") == {"word": "Hey Jarvis", "threshold": 0.7}


WAKE = hearing.TurnOpened("t1", "s1", Samples(0), 0.91234)


def posted(*allowed: str) -> list[tuple[str, dict[str, object]]]:
    events = []
    view = BusView(events.append, wall=lambda: 1_700_000_000.0)
    backend = BackendOptions(agent_id="kitchen")
    history = TurnHistory(Config(backend=backend, bus=BusOptions(publish=",".join(allowed))), view)
    for event in [
        WAKE,
        hearing.TurnOpened("t2", "s1", Samples(0), None),
        hearing.UtteranceGrew("t1", 0, b"\0\0"),
        hearing.StateChanged(State.IDLE, State.LISTENING, Samples(0), "WakeDetected"),
        hearing.TurnDropped("t2", "no speech"),
        delivery.LinkUp("http://x", None),
        delivery.Transcribed("t1", "what time is it"),
        PlaybackStarted("t1"),
        delivery.Finished("t1", Verdict.DONE, "", 2),
        PlaybackReported("t1", Playback()),
        PlaybackEnded("t1"),
    ]:
        history.after(event)
    return [(event.type, dict(event.data)) for event in events]


EXPECTED = [
    (kind, {"agentId": "kitchen", "turnId": turn_id, **more})
    for kind, turn_id, more in (
        ("wake", "t1", {"score": 0.912}),
        ("turn", "t2", {"verdict": "dropped", "code": "no speech"}),
        ("transcript", "t1", {"text": "what time is it"}),
        ("turn", "t1", {"verdict": "done", "code": ""}),
    )
]


@pytest.mark.parametrize("allowed", [(), *((name,) for name in NEWS), NEWS])
def test_only_what_is_allowed_is_posted(allowed):
    assert posted(*allowed) == [(kind, data) for kind, data in EXPECTED if kind in allowed]


def test_a_reload_changes_the_agent_id_and_what_is_allowed():
    events = []
    history = TurnHistory(Config(), BusView(events.append))
    history.after(WAKE)
    backend = BackendOptions(agent_id="hall")
    history.change(Config(backend=backend, bus=BusOptions(publish="wake")))
    history.after(WAKE)
    assert [event.data["agentId"] for event in events] == ["hall"]


def hook_events(*events: object) -> list[HookEvent]:
    told: list[HookEvent] = []
    view = HookView(told.append, wall=lambda: 1_700_000_000.0)
    history = TurnHistory(Config(backend=BackendOptions(agent_id="kitchen")), view)
    for event in events:
        history.after(event)
    history.change(Config(backend=BackendOptions(agent_id="hall")))
    return told


def changed(old: State, new: State, why: str) -> hearing.StateChanged:
    return hearing.StateChanged(old, new, Samples(0), why)


def hook_event(name: str, **more: str) -> HookEvent:
    return HookEvent(name, 1_700_000_000.0, "kitchen", **more)


EXPIRED = {"verdict": "expired", "code": "too_old"}
FROM_THINKING = {"previous": "thinking"}


def test_hooks_are_told_states_wake_words_and_failures():
    assert hook_events(
        WAKE,
        changed(State.IDLE, State.LISTENING, "WakeDetected"),
        changed(State.LISTENING, State.CAPTURING, "SpeechStarted"),
        changed(State.CAPTURING, State.THINKING, "SpeechEnded(hangover)"),
        delivery.Transcribed("t1", "a secret"),
        delivery.Finished("t1", Verdict.EXPIRED, Cause.TOO_OLD, 0),
        changed(State.THINKING, State.IDLE, "Failed(too_old)"),
        changed(State.IDLE, State.MUTED, "Muted"),
    ) == [
        hook_event("idle", state="idle", reason="start"),
        hook_event("wake", turn_id="t1", state="idle", reason="wake detected"),
        *(
            hook_event(new, turn_id="t1", state=new, previous=old, reason=why)
            for old, new, why in (
                ("idle", "listening", "wake detected"),
                ("listening", "capturing", "speech started"),
                ("capturing", "thinking", "speech ended: hangover"),
            )
        ),
        hook_event("failed", turn_id="t1", state="thinking", reason="too old", **EXPIRED),
        hook_event("idle", turn_id="t1", state="idle", reason="no reply: too old", **FROM_THINKING),
        hook_event("muted", state="muted", previous="idle", reason="muted"),
    ]


def test_the_follow_up_window_is_listening_and_no_wake_word():
    told = hook_events(
        changed(State.SPEAKING, State.FOLLOW_UP, "ReplyEnded"),
        hearing.TurnOpened("t2", "s1", Samples(0), None),
    )
    assert [(each.name, each.state) for each in told[1:]] == [("listening", "follow_up")]


@pytest.mark.parametrize("state", State)
def test_every_state_is_an_event_that_a_hook_can_have(state):
    [_, told] = hook_events(changed(State.IDLE, state, "Hushed"))
    assert (told.name in HOOKS, told.state) == (True, str(state))


@pytest.mark.parametrize("verdict", Verdict)
def test_a_turn_fails_for_hooks_as_it_does_for_the_exit_status(verdict):
    told = hook_events(delivery.Finished("t1", verdict, Cause.NONE, 0))
    names = {"failed", "expired", "in_doubt", "reply_lost"}
    assert [each.verdict for each in told[1:]] == [str(verdict)] * (verdict in names)


def test_a_turn_that_the_history_forgets_is_not_shown_any_more(scene):
    scene.send("ended").finish(Verdict.DONE, turn_id="ended")
    for number in range(MAX_KEPT - 1):
        scene.send(f"t{number}")
    scene.told(delivery.Transcribed("t0", "a secret"))
    scene.send("newer")  # pushes out the turn that has ended, which is not shown
    assert scene.topic("turn:t0")["transcript"] == "a secret"
    scene.send("newest")
    assert "secret" not in repr(scene.feed.snapshot())
    assert len(scene.turns()) == MAX_TURNS
