"""Ears: makes an ear for given options; the models go from one ear to the next."""

import secrets
from collections.abc import Callable
from functools import partial
from pathlib import Path

from jarvis_ear import config
from jarvis_ear.devices.openwakeword import OpenWakeWord
from jarvis_ear.devices.silero import Silero
from jarvis_ear.devices.webrtc_vad import WebRtcVad
from jarvis_ear.hearing.ear import Ear
from jarvis_ear.hearing.turns import TurnMachine
from jarvis_ear.hearing.utterance import GROWTH_MS


class Ears:
    """Loads the models: the one slow step of a start. Owned by the main thread.

    What it makes belongs to the ear thread, which uses one ear at a time.
    """

    def __init__(self) -> None:
        self._model: Path | None = None
        self._wake: OpenWakeWord | None = None
        self._speech: Silero | None = None

    def load(self, hearing: config.Hearing) -> None:
        """Load the models, or raise ConfigError."""
        self._keep(hearing.wake.model, self._wake_model(hearing.wake.model))
        self._speech_model()

    def make(self, hearing: config.Hearing, growth_ms: int = GROWTH_MS) -> Ear:
        """Make an ear that tells of every ``growth_ms`` of an utterance, or raise ConfigError."""
        ear, keep = self.prepare(hearing, growth_ms)
        keep()
        return ear

    def prepare(
        self, hearing: config.Hearing, growth_ms: int = GROWTH_MS
    ) -> tuple[Ear, Callable[[], None]]:
        """Make an ear that may never be used, or raise ConfigError.

        Call the second value when it is used: only then is its wake model the one that later ears
        get.
        """
        model, wake = hearing.wake.model, self._wake_model(hearing.wake.model)
        ear = Ear(
            hearing,
            gate=WebRtcVad(hearing.gate.aggressiveness),
            wake=wake,
            speech=self._speech_model(),
            machine=TurnMachine(hearing, lambda: secrets.token_hex(4)),
            growth_ms=growth_ms,
        )
        return ear, partial(self._keep, model, wake)

    def _keep(self, model: Path | None, wake: OpenWakeWord) -> None:
        self._model, self._wake = model, wake

    def _wake_model(self, model: Path | None) -> OpenWakeWord:
        """Return the model that is kept, if it is this one, or load it."""
        return OpenWakeWord(model) if self._wake is None or model != self._model else self._wake

    def _speech_model(self) -> Silero:
        if self._speech is None:
            self._speech = Silero()
        return self._speech


def wake_word(hearing: config.Hearing) -> str:
    """Name what is listened for."""
    return "Hey Jarvis" if hearing.wake.model is None else hearing.wake.model.stem
