"""From options to engines. One that is missing is said once and stands in as such."""

import logging
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Final, assert_never

from jarvis_backend.brain import Brain, HouseholdBrain
from jarvis_backend.config import (
    BackendConfig,
    BrainOptions,
    SpeechToTextOptions,
    TextToSpeechOptions,
)
from jarvis_backend.conversation import Engines
from jarvis_backend.engines.engine import NoEar, NoVoice, SpeechToText, TextToSpeech
from jarvis_backend.engines.openai_http import HttpBrain, HttpSpeechToText, HttpTextToSpeech
from jarvis_backend.engines.program import ESPEAK_NG, FLITE, ProgramVoice
from jarvis_backend.engines.sphinx import SphinxSpeechToText
from jarvis_backend.engines.voices import EspeakLibraryVoice, PiperVoice
from jarvis_backend.engines.whisper import WhisperSpeechToText
from jarvis_backend.errors import EngineMissing

_LOG: Final = logging.getLogger(__name__)


def choose_engines(config: BackendConfig) -> Engines:
    """Make what the options ask for; nothing is loaded or started yet."""
    return Engines(_ear(config.stt), _brain(config.brain), _voice(config.tts))


def _ear(options: SpeechToTextOptions) -> SpeechToText:
    try:
        return _speech_to_text(options)
    except EngineMissing as missing:
        _LOG.warning("no speech-to-text, every utterance will fail: %s", missing)
        return NoEar(str(missing))


def _voice(options: TextToSpeechOptions) -> TextToSpeech:
    try:
        return _text_to_speech(options)
    except EngineMissing as missing:
        _LOG.warning("no text-to-speech, replies stay text: %s", missing)
        return NoVoice(str(missing))


def _speech_to_text(options: SpeechToTextOptions) -> SpeechToText:
    match options.engine:
        case "pocketsphinx":
            return SphinxSpeechToText(options)
        case "faster-whisper":
            return WhisperSpeechToText(options.model, options.language, options.timeout_s)
        case "openai":
            return HttpSpeechToText(options)
        case "none":
            return NoEar("switched off (stt.engine is none)")
    assert_never(options.engine)


def _brain(options: BrainOptions) -> Brain:
    match options.engine:
        case "builtin":
            return HouseholdBrain(lambda: datetime.now().astimezone())
        case "openai":
            return HttpBrain(options)
    assert_never(options.engine)


def _text_to_speech(options: TextToSpeechOptions) -> TextToSpeech:
    return _VOICES[options.engine](options)


def _first_installed(options: TextToSpeechOptions) -> TextToSpeech:
    reasons = []
    for make in (_flite, _espeak_ng, _espeak_library):
        try:
            return make(options)
        except EngineMissing as missing:
            reasons.append(str(missing))
    raise EngineMissing("; or ".join(reasons))


def _flite(options: TextToSpeechOptions) -> TextToSpeech:
    return ProgramVoice(FLITE, options.voice, options.timeout_s)


def _espeak_ng(options: TextToSpeechOptions) -> TextToSpeech:
    return ProgramVoice(ESPEAK_NG, options.voice, options.timeout_s)


def _espeak_library(options: TextToSpeechOptions) -> TextToSpeech:
    return EspeakLibraryVoice(options.voice, options.timeout_s)


_VOICES: Final[Mapping[str, Callable[[TextToSpeechOptions], TextToSpeech]]] = {
    "auto": _first_installed,
    "flite": _flite,
    "espeak-ng": _espeak_ng,
    "espeak-library": _espeak_library,
    "piper": lambda options: PiperVoice(options.model, options.timeout_s),
    "openai": HttpTextToSpeech,
    "none": lambda _options: NoVoice("switched off (tts.engine is none)"),
}
"""One maker per name that the option knows."""
