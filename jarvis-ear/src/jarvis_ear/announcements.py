"""Announcements: speech without a turn, which waits until the ear is idle."""

import threading
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Final

from jarvis_ear.config import SpeakerOptions
from jarvis_ear.delivery.events import Announced, ReplyAudio
from jarvis_ear.delivery.playback import Playback, PlaybackEnded, PlaybackReported, Unheard
from jarvis_ear.devices.decoder import Decoder, UnplayableError
from jarvis_ear.devices.output import NONE
from jarvis_ear.devices.speaker import MAX_CHUNK_S, Speaker
from jarvis_ear.errors import InputError, SpeakerLost
from jarvis_ear.hearing.ear import CALM
from jarvis_ear.hearing.events import (
    AbandonTurn,
    Effect,
    Hushed,
    State,
    StateChanged,
    StopSpeaking,
    SupersedeTurn,
    TurnDropped,
    TurnOpened,
    WakeDetected,
)
from jarvis_ear.turn_trace.trace import TraceEvent

MAX_WAITING: Final = 8
"""Announcements that may wait: more than a person wants to hear at once."""

MAX_BYTES: Final = 32 * 1024 * 1024
"""Bytes of waiting sound: those of one reply."""


class Announcements:
    """Plays announcements one after the other, while no turn is open. Any thread; one lock.

    Bound: ``MAX_WAITING`` and ``MAX_BYTES`` wait. Policy: the oldest is dropped. Counter:
    ``announcements_dropped``. ``tell`` records how each one ends; it must not block.

    One that was handed to the speaker but has not begun when a person speaks to the ear is
    withdrawn, and waits again. One that plays is held by the turn machine, like a reply.
    """

    def __init__(
        self,
        options: SpeakerOptions,
        tell: Callable[[TraceEvent], None],
        new_id: Callable[[], str],
    ) -> None:
        self._options = options
        self._tell = tell
        self._new_id = new_id
        self._speaker: Speaker
        self._lock = threading.Lock()
        self._waiting: deque[Announced] = deque()
        self._playing: Announced | None = None
        self._is_noticed = False  # the ear is speaking because of it, or holds it
        self._open: set[str] = set()  # turns that are not over
        self._state = State.IDLE
        self._dropped = 0

    def connect(self, speaker: Speaker) -> None:
        """Set the speaker. Once, before any event."""
        self._speaker = speaker

    def change(self, options: SpeakerOptions) -> None:
        """Use other options for what comes from now on."""
        self._options = options

    def counters(self) -> Mapping[str, int]:
        """Return how many were dropped because too many waited."""
        return {"announcements_dropped": self._dropped}

    def announce(self, announced: Announced) -> bool:
        """Play an announcement of the backend, as soon as possible; False if none is wanted."""
        if not self._options.announcements:
            return False
        self.put(announced)
        return True

    def put(self, announced: Announced) -> None:
        """Play an announcement as soon as possible, whatever the options say."""
        with self._lock:
            self._tell(announced)
            self._waiting.append(announced)
            while len(self._waiting) > MAX_WAITING or self._bytes() > MAX_BYTES:
                self._drop(self._waiting.popleft())
            self._play_next()

    def say(self, audio: bytes) -> None:
        """Play a sound file as an announcement. Raises ``InputError`` or ``SpeakerLost``."""
        if self._options.device == NONE:
            raise SpeakerLost("no loudspeaker is configured: speaker.device is none")
        try:
            sound = Decoder().open("", audio, MAX_CHUNK_S)
        except UnplayableError as error:
            raise InputError(f"the sound cannot be played: it {error}") from error
        if not sound.has_sound:
            raise InputError("the sound cannot be played: it is empty")
        name = self._new_id()
        self.put(Announced(name, (ReplyAudio(name, 0, "", audio),)))

    def after(self, effect: Effect) -> None:
        """Note an effect of the ear. Ear thread."""
        with self._lock:
            match effect:
                case TurnOpened(turn_id):
                    self._open.add(turn_id)
                case TurnDropped(turn_id) | AbandonTurn(turn_id) | SupersedeTurn(turn_id):
                    self._open.discard(turn_id)
                case StopSpeaking():
                    self._stop()
                case StateChanged(_, new):
                    self._enter(new)
                case _:
                    return
            self._play_next()

    def reopen(self, turn_id: str) -> None:
        """Note that an abandoned turn is still delivered."""
        with self._lock:
            self._open.add(turn_id)

    def over(self, reply_id: str) -> None:
        """Note that nothing more of a turn or an announcement will be played."""
        with self._lock:
            self._open.discard(reply_id)
            if self._playing is not None and self._playing.turn_id == reply_id:
                self._playing = None
            self._play_next()

    def _bytes(self) -> int:
        return sum(each.bytes for each in self._waiting)

    def _drop(self, announced: Announced) -> None:
        self._dropped += 1
        unheard = Playback(audible=False, left_out=len(announced.sounds), reason=Unheard.QUEUE_FULL)
        self._tell(PlaybackReported(announced.turn_id, unheard))
        self._tell(PlaybackEnded(announced.turn_id))

    def _enter(self, state: State) -> None:
        self._state = state
        if state is State.SPEAKING or state in CALM:
            self._is_noticed = state is State.SPEAKING
        elif self._playing is not None and not self._is_noticed:
            self._withdraw(self._playing)

    def _withdraw(self, announced: Announced) -> None:
        """Take it back from the speaker, which ignores its id from now on."""
        self._speaker.stop()
        self._tell(AbandonTurn(announced.turn_id, WakeDetected.__name__))
        name, self._playing = self._new_id(), None
        sounds = tuple(replace(sound, turn_id=name) for sound in announced.sounds)
        again = replace(announced, turn_id=name, sounds=sounds)
        self._tell(again)
        self._waiting.appendleft(again)

    def _stop(self) -> None:
        if self._playing is not None:
            self._tell(AbandonTurn(self._playing.turn_id, Hushed.__name__))
            self._playing = None

    def _play_next(self) -> None:
        is_free = self._state in CALM and not self._open and self._playing is None
        if not is_free or not self._waiting:
            return
        self._playing, self._is_noticed = self._waiting.popleft(), False
        for sound in self._playing.sounds:
            self._speaker.play(sound.turn_id, sound.index, sound.content_type, sound.audio)
        self._speaker.finish(self._playing.turn_id)
