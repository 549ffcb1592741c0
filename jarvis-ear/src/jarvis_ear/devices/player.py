"""Player: moves the sound of replies to the output, and keeps the output awake between them."""

import logging
import time
from collections.abc import Callable
from typing import Final

import numpy as np
import numpy.typing as npt

from jarvis_ear.audio.resample import resample
from jarvis_ear.audio.wav import Sound
from jarvis_ear.delivery.playback import Unheard
from jarvis_ear.devices.far_end import FarEndTap, OnFar
from jarvis_ear.devices.output import Output
from jarvis_ear.devices.shaping import FULL, Shaper, gain_of
from jarvis_ear.devices.track import Track
from jarvis_ear.errors import SpeakerLost
from jarvis_ear.journal.sound import SPEAKER_LOST

AHEAD_S: Final = 0.07
"""Seconds of sound written ahead: what delays ducking and a stop, and hides a delay of this thread
or of the sound process."""

MORE_S: Final = 0.05
"""Seconds added after each underrun, on a machine that is too busy for less..."""

MOST_AHEAD_S: Final = 0.2
"""...up to this."""

REST_S: Final = 0.03
"""Seconds of silence written ahead between sounds: what delays the first sample of a reply."""

QUICK_S: Final = 0.09
"""More sound than this in the buffer is not waited for at a stop: it is discarded with a click."""

TICK_S: Final = 0.015
"""Seconds between two writes: half of ``REST_S``."""

GIVE_UP_S: Final = 5.0
"""Seconds without progress after which the speaker, and with it the reply, is lost."""

GAP_S: Final = 5.0
"""Seconds of pause in an unfinished reply after which the device is closed until it continues."""

DRAIN_EXTRA_S: Final = 0.5
"""Seconds, beyond its buffer, that a speaker may take to play the last sample."""

RELEASE_S: Final = 300.0
"""Seconds after the last use for which a closed output may keep what opens it faster."""

CHECK_AGAIN_S: Final = 60.0
"""Seconds between searches for a missing loudspeaker, between replies."""

REMEDY: Final = "see jarvis-ear devices, and set speaker.device (none: replies are never heard)"
"""Advice for a missing loudspeaker."""

_LOGGER = logging.getLogger(__name__)


class Player:
    """Owns the output. For the speaker thread; others may read ``problem`` and ``underruns``.

    The output is opened for a reply, or before it by ``prepare``, and stays open for ``warm_s``
    after the last sound, playing silence. Meanwhile, call ``pump`` every ``TICK_S``.
    """

    def __init__(
        self,
        output: Output | None,
        *,
        on_far: OnFar | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._output = output  # None: no speaker is wanted
        self._on_far = on_far
        self._monotonic = monotonic
        self.warm_s = 0.0
        """Seconds after the last sound for which the output stays open."""
        self.lead_in_s = 0.0
        """Minimum time between opening the output and the first sound: silence fills it."""
        self._opened: Output | None = None
        self.rate = 0
        """Samples per second of the opened output."""
        self.unheard = Unheard.NOTHING
        """Why the reply cannot be heard, if it has no output."""
        self.problem = ""
        """Known reason why replies are not heard; empty if none."""
        self.underruns = 0
        """How often the output ran out of samples in the middle of sound."""
        self._is_new = True  # the output was not checked yet
        self._is_kept = False  # it was opened, and not released since
        self._checked_at = 0.0
        self._track = Track(1)
        self._shaper = Shaper(1)
        self._chime = np.empty(0, np.int16)  # the rest of it
        self._far: FarEndTap | None = None
        self._volume, self._is_ducked = FULL, False
        self._ahead_s = AHEAD_S
        self._written = 0  # samples since the opening, silence included
        self._ends = 0  # the same when the last sound was written
        self._is_resting = True  # whether the last sample written is silence
        self._progress_at = 0.0  # when the output last took a sample, or had none to take
        self._used_at = 0.0  # when it last took a sample of sound, or was prepared for it
        self.is_expecting = False
        """Whether sound will follow: the output then stays open for at least ``GAP_S``."""
        self.is_paused = False
        """Whether sound waits for ``resume``."""

    @property
    def is_open(self) -> bool:
        """Whether the output is open."""
        return self._opened is not None

    @property
    def is_hungry(self) -> bool:
        """Whether everything added was written."""
        return self._track.left == 0

    @property
    def is_heard(self) -> bool:
        """Whether everything added was played, or can no longer be."""
        if self._opened is None:
            return self.is_hungry
        if not self.is_hungry:
            return False
        late_s = self._monotonic() - self._used_at
        is_played = self._written - self._opened.waiting >= self._ends
        return is_played or late_s > MOST_AHEAD_S + DRAIN_EXTRA_S

    def use(self, output: Output | None) -> None:
        """Use another output from the next reply on. Any thread."""
        self._output = output
        self._is_new = True

    def set_gain(self, volume: int, *, ducked: bool) -> None:
        """Play at this volume in per cent, ducked or not, from the next sample written on."""
        self._volume, self._is_ducked = volume, ducked
        self._shaper.set(volume, ducked=ducked)

    def look(self) -> None:
        """Look up a new loudspeaker, or a missing one if the interval has passed.

        Also release one that has not been used for long. Only while it is closed.
        """
        now = self._monotonic()
        if self._output is not None and self._is_kept and now - self._used_at >= RELEASE_S:
            self._is_kept = False
            self._output.release()
        if self._is_new or (self.problem and now - self._checked_at >= CHECK_AGAIN_S):
            self._is_new = False
            self._checked_at = now
            self._set_problem(self._output.check() if self._output else "")

    def prepare(self) -> None:
        """Open the output: a reply is expected."""
        self.unheard = Unheard.NOTHING
        self._used_at = self._monotonic()
        self.open()

    def begin_reply(self) -> None:
        """Forget the sound of the reply before; open an output again that could not be opened."""
        self.unheard = Unheard.NOTHING
        if self._opened is not self._output:
            self.close()
        self._track = Track(self.rate or 1)
        self._shaper.open()
        self.is_paused = False

    def open(self) -> Unheard:
        """Open the output unless it is open; return why the reply cannot be heard."""
        if self._opened is not None or self.unheard:
            return self.unheard
        output = self._output
        self._is_kept = True
        if output is None:
            self.unheard = Unheard.NO_SPEAKER
            self._set_problem("")
            return self.unheard
        try:
            self.rate = output.open()
        except SpeakerLost as error:
            self.unheard = Unheard.SPEAKER_UNAVAILABLE
            self._set_problem(str(error))
            return self.unheard
        self._set_problem("")
        self._opened = output
        self._progress_at = self._used_at = self._monotonic()
        self._written = self._ends = 0
        self._is_resting = True
        if self._track.rate != self.rate:
            self._track = Track(self.rate)  # a device may come back at another rate
        self._shaper = Shaper(self.rate, self._volume, ducked=self._is_ducked)
        self._far = FarEndTap(self._on_far, self.rate) if self._on_far else None
        return self.unheard

    def begin_chunk(self) -> None:
        """Note that a chunk begins with the next sample added."""
        self._track.begin_chunk()

    def add(self, pcm: npt.NDArray[np.int16]) -> None:
        """Add sound at the rate of the output."""
        self._track.add(pcm)

    def pump(self) -> int:
        """Write as much sound as is due, or silence; return the samples of sound that were taken.

        Closes the output if it was not needed for ``warm_s``. Raises SpeakerLost.
        """
        output, is_due = self._opened, self._track.left > 0 and not self.is_paused
        if output is None:
            if is_due:  # it was closed during a pause, and cannot be opened again
                raise SpeakerLost(self.problem)
            return 0
        if is_due:
            return self._write_sound(output)
        if len(self._chime):
            self._write_chime(output)
            return 0
        now = self._monotonic()
        kept_s = max(self.warm_s, GAP_S) if self.is_expecting else self.warm_s
        if now - self._used_at >= kept_s and (self.is_paused or self.is_heard):
            self.close()
        else:
            self._progress_at = now
            self._rest(output)
        return 0

    def chime(self, sound: Sound) -> None:
        """Play a short sound at once, over a reply or while it is paused; instead of another one.

        It does not count as a part of a reply, and is not played if the output cannot be opened.
        """
        self.prepare()
        if self._opened is not None:
            pcm = resample(sound.mono(), sound.rate, self.rate) * gain_of(self._volume)
            self._chime = np.rint(pcm).astype(np.int16)

    def stop(self) -> None:
        """Play nothing more of the reply: silence within 100 ms, without a click."""
        self._fade_out()
        self._track = Track(self.rate or 1)
        self.is_paused = False

    def pause(self) -> None:
        """Stop as ``stop`` does, and keep the rest for ``resume``."""
        if not self.is_paused:
            self._track.cut(self._fade_out())
            self.is_paused = True

    def resume(self) -> None:
        """Go on, from a little before the pause: see ``Track.rewind``."""
        if self.is_paused:
            self.is_paused = False
            self._track.rewind()
            self.open()
            self._shaper.fade_in()

    def fail(self, reason: str = "") -> None:
        """Close an output that failed, with the sound that it did not play.

        Without a ``reason`` nothing was missed, and ``look`` finds out whether it is still there.
        """
        self.problem = reason or self.problem
        self._is_new = not reason
        self._track = Track(self.rate or 1)
        self.close()

    def close(self) -> None:
        """Stop playing at once and close the output. Idempotent."""
        opened, self._opened = self._opened, None
        self._ends = self._written = 0
        self._chime = self._chime[:0]
        if opened is not None:
            self._end_far()
            opened.close()

    def _write_sound(self, output: Output) -> int:
        """Write sound, or what is missing of the silence before it."""
        ahead = round(self._ahead_s * self.rate)
        now = self._monotonic()
        missing = round(self.lead_in_s * self.rate) - self._written
        if missing > 0:
            taken, heard = output.write(np.zeros(min(missing, ahead), np.int16), ahead), 0
        else:
            pcm = self._with_chime(self._shaper.shape(self._track.peek(ahead)))
            taken = heard = output.write(pcm, ahead)
            self._note_sound(output, pcm[:taken])
            self._chime = self._chime[taken:]
        self._written += taken
        if taken:
            self._progress_at = self._used_at = now
        elif now - self._progress_at >= GIVE_UP_S:
            raise SpeakerLost(f"it took no sound for {GIVE_UP_S:g} s")
        if heard:
            self._ends = self._written
        return heard

    def _with_chime(self, pcm: npt.NDArray[np.int16]) -> npt.NDArray[np.int16]:
        chime = self._chime[: len(pcm)]
        if not len(chime):
            return pcm
        mixed = pcm.astype(np.int32)
        mixed[: len(chime)] += chime
        return np.clip(mixed, -32768, 32767).astype(np.int16)

    def _write_chime(self, output: Output) -> None:
        """Write a chime while no reply is played, after the silence that a new output needs."""
        ahead = round(self._ahead_s * self.rate)
        missing = round(self.lead_in_s * self.rate) - self._written
        if missing > 0:
            self._written += output.write(np.zeros(min(missing, ahead), np.int16), ahead)
            return
        taken = output.write(self._chime[:ahead], ahead)
        if not taken:
            if self._monotonic() - self._used_at >= GIVE_UP_S:
                raise SpeakerLost(f"it took no sound for {GIVE_UP_S:g} s")
            return
        if self._far is not None:
            self._far.wrote(self._chime[:taken], output.heard_at)
        self._chime = self._chime[taken:]
        self._written += taken
        self._ends, self._is_resting = self._written, False
        self._progress_at = self._used_at = self._monotonic()

    def _note_sound(self, output: Output, written: npt.NDArray[np.int16]) -> None:
        if not len(written):
            return
        if output.underran and not self._is_resting:
            self.underruns += 1
            self._ahead_s = min(self._ahead_s + MORE_S, MOST_AHEAD_S)
        self._is_resting = False
        self._shaper.advance(len(written))
        self._track.advance(len(written))
        if self._far is not None:
            self._far.wrote(written, output.heard_at)

    def _rest(self, output: Output) -> None:
        """Write silence: more at first, because a device begins with its first period only."""
        is_begun = self._written > 0 and not output.underran
        taken = output.rest(round((REST_S if is_begun else AHEAD_S) * self.rate))
        self._written += taken
        if taken and not self._is_resting:
            self._is_resting = True
            self._end_far()

    def _fade_out(self) -> int:
        """Let what is written play out, and fade; or discard it if it is too much.

        Return the samples that were written and are not heard.
        """
        output = self._opened
        if output is None:
            return 0
        unheard = max(0, self._ends - (self._written - output.waiting))
        if unheard > QUICK_S * self.rate:
            self.close()
            return unheard
        samples = self._shaper.fade_out()
        pcm = self._shaper.shape(self._track.peek(samples))
        try:
            if len(pcm) and not self._is_resting:
                taken = output.write(pcm, output.waiting + len(pcm))
                self._written += taken
                if self._far is not None and taken:
                    self._far.wrote(pcm[:taken], output.heard_at)
        except SpeakerLost:
            self.close()
        self._shaper.open()
        self._ends, self._is_resting = self._written, True
        self._end_far()
        return 0

    def _end_far(self) -> None:
        if self._far is not None:
            self._far.pause()

    def _set_problem(self, reason: str) -> None:
        """Log why replies are not heard, once per reason, and when they are heard again."""
        if reason == self.problem:
            return
        self.problem = reason
        if reason:
            fields = SPEAKER_LOST.fields(REASON=reason)
            _LOGGER.warning("replies are not heard: %s; %s", reason, REMEDY, extra=fields)
        elif self._output is not None:
            _LOGGER.info("the loudspeaker is there again")
