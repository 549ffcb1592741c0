"""The ear thread: feeds blocks and events from the inbox to the ear."""

import threading
from collections import deque
from collections.abc import Callable, Mapping
from typing import Final, Self

from jarvis_ear.audio.frames import Block, Frame, Framer
from jarvis_ear.hearing.ear import CALM, Ear
from jarvis_ear.hearing.events import Effect, Event, MicrophoneLost, Muted, SoundEnded, State
from jarvis_ear.hearing.inbox import Inbox
from jarvis_ear.units import Samples

GET_S: Final = 2.0
"""Maximum seconds of one wait for sound, and thus between two signs of life of the thread."""

END_S: Final = 0.1
"""The same after the end of sound, when the last turn is awaited."""

STOP_S: Final = 2.0
"""Maximum seconds to stop; a frame takes milliseconds, so a slower thread hangs in a model."""

MAX_PLAYED: Final = 512
"""Pieces of the loudspeaker's sound that wait for the ear: 8 s and more. The oldest is dropped."""

RECENT: Final = 75
"""Frames kept, 1.5 s: a wake word, and the room before it."""

SHOWN: Final = 16
"""Frames for a display, 320 ms: a sound card delivers less, a console polls 4x as often."""

_ANSWERING: Final = (State.THINKING, State.SPEAKING)
_HEARING: Final = (State.LISTENING, State.CAPTURING, State.FOLLOW_UP)


class EarThread:
    """Owns the ear, and with it everything in ``hearing/``, in the thread "ear".

    Callbacks, all in that thread: ``deliver`` gets every effect and must not block; ``on_block``
    gets the end of each block before it is processed; ``on_frame`` gets each frame after its
    effects, as the microphone delivered it; ``on_live`` gets whether sound is needed as
    it arrives, when that changes; ``on_finished`` is called after the end of sound and of the last
    turn; ``on_failure`` gets the bug that ended the thread. With
    ``waits_for_replies``, sound waits while a reply is awaited or played: a file that is read
    faster than in real time would otherwise end before the first reply.
    """

    def __init__(
        self,
        ear: Ear,
        inbox: Inbox,
        deliver: Callable[[Effect], None],
        *,
        waits_for_replies: bool = False,
        on_block: Callable[[Samples], None] = lambda _end: None,
        on_frame: Callable[[Frame], None] = lambda _frame: None,
        on_live: Callable[[bool], None] = lambda _wanted: None,
        on_finished: Callable[[], None],
        on_failure: Callable[[BaseException], None],
    ) -> None:
        self._ear = ear
        self._inbox = inbox
        self._deliver = deliver
        self._waits_for_replies = waits_for_replies
        self._on_block = on_block
        self._on_frame = on_frame
        self._on_live = on_live
        self._is_live = False
        self._on_finished = on_finished
        self._on_failure = on_failure
        self._next: Ear | None = None
        self._framer = Framer()
        self._sound_ended = threading.Event()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="ear", daemon=True)
        self.iterations = 0
        """Number of loop iterations: a counter that moves while the thread is alive."""
        self.frames = 0
        """Frames that went through the whole hearing path."""
        self.last_frame = b""
        """Sound of the newest frame, for a level display (any thread may read it)."""
        self._recent: deque[bytes] = deque(maxlen=RECENT)
        self._played: deque[tuple[bytes, Samples]] = deque(maxlen=MAX_PLAYED)
        self.played_dropped = 0
        """Pieces of the loudspeaker's sound that the ear did not take in time."""

    @property
    def state(self) -> State:
        """State of the ear (any thread may read it)."""
        return self._ear.state

    @property
    def recent(self) -> tuple[bytes, ...]:
        """The newest frames, oldest first, for displays that poll less often (any thread)."""
        return self.around_wake[-SHOWN:]

    @property
    def around_wake(self) -> tuple[bytes, ...]:
        """The frames of the last 1.5 s, oldest first (any thread)."""
        return tuple(self._recent)  # one call, which holds the interpreter

    @property
    def score(self) -> float:
        """Last score of the wake model (any thread may read it)."""
        return self._ear.score

    @property
    def speech(self) -> bool:
        """Whether the newest frame may be speech (any thread may read it)."""
        return self._ear.speech

    @property
    def proofs(self) -> int:
        """Number of valid scores from the wake model (any thread may read it)."""
        return self._ear.proofs

    @property
    def samples_lost(self) -> int:
        """Number of samples that never arrived (any thread may read it)."""
        return self._framer.samples_lost

    def counters(self) -> Mapping[str, int]:
        """Return what the ear lost and refused, and the counters of its own voice."""
        own_voice = self._ear.own_voice
        return {
            "gaps_in_sound": self._framer.gaps,
            "gap_samples": self.samples_lost,
            "played_dropped": self.played_dropped,
            "speech_refused": self._ear.refused,
            **({} if own_voice is None else own_voice.counters()),
        }

    def look_at_echo(self, store: Callable[[float | None, float], None]) -> None:
        """Pass on the delay of the loudspeaker, if known, and its drift. Any thread."""
        own_voice = self._ear.own_voice
        if own_voice is not None:
            store(own_voice.delay, own_voice.drift)

    def played(self, pcm: bytes, position: Samples | None) -> None:
        """Note sound that leaves the loudspeaker at ``position``. The speaker thread."""
        if position is not None:
            self.played_dropped += len(self._played) == MAX_PLAYED
            self._played.append((pcm, position))

    def sound_ended(self) -> None:
        """Signal that no block follows those in the inbox. Any thread."""
        self._sound_ended.set()
        self._inbox.wake()

    def change(self, ear: Ear) -> None:
        """Replace the ear as soon as no turn is in progress. Any thread."""
        self._next = ear
        self._inbox.wake()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        self._inbox.close()
        self._thread.join(STOP_S)

    def _run(self) -> None:
        try:
            self._ear.prove_model()
            while not self._stopping.is_set():
                self.iterations += 1
                self._take_next()
                wait_s = END_S if self._sound_ended.is_set() else GET_S
                self._process(self._inbox.get(wait_s, audio=not self._is_waiting()))
                self._ask_for_live_sound()
        except BaseException as error:  # noqa: BLE001 - a bug: handed to the main thread, which ends
            self._on_failure(error)

    def _take_next(self) -> None:
        """Replace the ear between turns. Effects of the new ear during the change are dropped."""
        ear = self._next
        if ear is None or self._ear.state not in CALM or self._ear.expects_more:
            return
        self._next = None
        if self._ear.state is State.MUTED:
            ear.tell(Muted())
        elif self._ear.state is State.DEAF:
            ear.tell(MicrophoneLost())
        ear.prove_model()
        self._ear = ear

    def _is_waiting(self) -> bool:
        is_answering = self._ear.state in _ANSWERING and not self._ear.expects_more
        return self._waits_for_replies and is_answering

    def _process(self, item: Event | Block | None) -> None:
        match item:
            case None:
                self._end_sound()
            case Block() as block:
                self._on_block(block.end)
                for frame in self._framer.push(block):
                    self._take_played()
                    self._deliver_all(self._ear.hear(frame))
                    self._on_frame(frame)
                    self.frames += 1
                    self.last_frame = frame.pcm
                    self._recent.append(frame.pcm)
            case event:
                self._deliver_all(self._ear.tell(event))

    def _take_played(self) -> None:
        while self._played:
            self._ear.play(*self._played.popleft())

    def _ask_for_live_sound(self) -> None:
        is_live = self._ear.needs_live_sound
        if is_live != self._is_live:
            self._is_live = is_live
            self._on_live(is_live)

    def _end_sound(self) -> None:
        if not self._sound_ended.is_set() or self._is_waiting():
            return
        if self._ear.state in _HEARING:
            self._deliver_all(self._ear.tell(SoundEnded(self._ear.now)))
        elif self._ear.state not in _ANSWERING:
            self._on_finished()

    def _deliver_all(self, effects: tuple[Effect, ...]) -> None:
        for effect in effects:
            self._deliver(effect)
