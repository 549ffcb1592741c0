"""Listener: wake word and end of speech, for programs that bring their own sound.

A part of the library interface, see docs/library.md. The ear itself does more: it follows replies,
joins a sentence that continues after a pause, and recognises its own voice.
"""

import time
from collections.abc import Callable, Iterable

from jarvis_ear.audio.frames import Block, Framer
from jarvis_ear.config import HearingOptions
from jarvis_ear.delivery.utterance import CapturedAudio
from jarvis_ear.devices.models import EarFactory
from jarvis_ear.hearing.events import Effect, Failed, SendUtterance, SoundEnded
from jarvis_ear.units import SAMPLE_BYTES, SAMPLE_RATE, Samples

__all__ = ["CapturedAudio", "HearingOptions", "Listener"]


class Listener:
    """Finds the utterances that follow a wake word in sound from any source.

    Owned by the thread that calls it; several listeners do not know each other. A new one loads the
    models: a third of a second. Raises ``ConfigError`` if they are missing.

    After each utterance it waits for the next wake word at once; it does not wait for a reply.
    """

    def __init__(
        self,
        options: HearingOptions | None = None,
        *,
        now: Callable[[], float] | None = None,
    ) -> None:
        """Make a listener. ``now`` returns seconds of CLOCK_BOOTTIME."""
        self._ear = EarFactory().make(options or HearingOptions(), may_interrupt=False)
        self._now = now or (lambda: time.clock_gettime(time.CLOCK_BOOTTIME))
        self._framer = Framer()
        self._heard = Samples(0)

    def hear(self, pcm: bytes) -> tuple[CapturedAudio, ...]:
        """Process the next sound, and return the utterances that end in it, usually none.

        ``pcm`` is PCM16 little-endian, 16 kHz, one channel, of any whole number of samples; it is
        taken as the latest sound there is, so an utterance was spoken as long ago as sound has
        followed it. Raises ``ValueError`` for half a sample.
        """
        if len(pcm) % SAMPLE_BYTES:
            raise ValueError(f"{len(pcm)} bytes of PCM16: expected an even number")
        block = Block(self._heard, bytes(pcm))
        self._heard = block.end
        found: list[CapturedAudio] = []
        for frame in self._framer.push(block):
            found += self._sent(self._ear.hear(frame))
        return tuple(found)

    def finish(self) -> tuple[CapturedAudio, ...]:
        """Process the end of the sound: an utterance in progress ends with it."""
        return tuple(self._sent(self._ear.tell(SoundEnded(self._heard))))

    def _sent(self, effects: Iterable[Effect]) -> list[CapturedAudio]:
        found = []
        for effect in effects:
            if isinstance(effect, SendUtterance):
                utterance = effect.utterance
                ago_s = max(0, self._heard - utterance.speech_end) / SAMPLE_RATE
                found.append(CapturedAudio(utterance.pcm, effect.turn_id, self._now() - ago_s))
                self._ear.tell(Failed(effect.turn_id, ""))  # no reply is awaited
        return found
