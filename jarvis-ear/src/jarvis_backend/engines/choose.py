"""Makes the engines that the options name; a missing one is logged once and replaced."""

import logging
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Final

from jarvis_backend.brain import HouseholdBrain
from jarvis_backend.config import BackendConfig, SpeechToTextOptions, TextToSpeechOptions
from jarvis_backend.conversation import Engines
from jarvis_backend.engines.engine import MissingEngine, SpeechToText, TextToSpeech
from jarvis_backend.engines.program import ESPEAK_NG, FLITE, ProgramVoice
from jarvis_backend.engines.sphinx import SphinxSpeechToText
from jarvis_backend.engines.voices import EspeakLibraryVoice, PiperVoice
from jarvis_backend.engines.whisper import WhisperSpeechToText
from jarvis_backend.errors import EngineMissing

_LOG: Final = logging.getLogger(__name__)


def choose_engines(config: BackendConfig) -> Engines:
    """Make the engines. None of them is loaded or started yet."""
    stt: SpeechToText
    tts: TextToSpeech
    try:
        stt = _SPEECH_TO_TEXT[config.stt.engine](config.stt)
    except EngineMissing as missing:
        _LOG.warning("no speech-to-text, every utterance will fail: %s", missing)
        stt = MissingEngine(str(missing))
    try:
        tts = _TEXT_TO_SPEECH[config.tts.engine](config.tts)
    except EngineMissing as missing:
        _LOG.warning("no text-to-speech, replies stay text: %s", missing)
        tts = MissingEngine(str(missing))
    if config.brain.engine == "openai":
        from jarvis_backend.engines import openai_http  # noqa: PLC0415 - loads httpx, for it only

        return Engines(stt, openai_http.HttpBrain(config.brain), tts)
    if config.brain.engine == "home-assistant":
        from jarvis_backend.home_assistant import HomeAssistantBrain  # noqa: PLC0415 - likewise

        return Engines(stt, HomeAssistantBrain(config.brain), tts)
    return Engines(stt, HouseholdBrain(lambda: datetime.now().astimezone()), tts)


def _first_installed(options: TextToSpeechOptions) -> TextToSpeech:
    reasons = []
    for name in ("flite", "espeak-ng", "espeak-library"):
        try:
            return _TEXT_TO_SPEECH[name](options)
        except EngineMissing as missing:
            reasons.append(str(missing))
    raise EngineMissing("; or ".join(reasons))


def _http_speech_to_text(options: SpeechToTextOptions) -> SpeechToText:
    from jarvis_backend.engines import openai_http  # noqa: PLC0415 - loads httpx, for it only

    return openai_http.HttpSpeechToText(options)


def _http_text_to_speech(options: TextToSpeechOptions) -> TextToSpeech:
    from jarvis_backend.engines import openai_http  # noqa: PLC0415 - loads httpx, for it only

    return openai_http.HttpTextToSpeech(options)


def _wyoming_ear(options: SpeechToTextOptions) -> SpeechToText:
    from jarvis_backend.engines.wyoming import WyomingSpeechToText  # noqa: PLC0415 - for this only

    return WyomingSpeechToText(options)


def _wyoming_voice(options: TextToSpeechOptions) -> TextToSpeech:
    from jarvis_backend.engines.wyoming import WyomingTextToSpeech  # noqa: PLC0415 - for this only

    return WyomingTextToSpeech(options)


_SPEECH_TO_TEXT: Final[Mapping[str, Callable[[SpeechToTextOptions], SpeechToText]]] = {
    "pocketsphinx": SphinxSpeechToText,
    "faster-whisper": WhisperSpeechToText,
    "openai": _http_speech_to_text,
    "wyoming": _wyoming_ear,
    "none": lambda _options: MissingEngine("switched off (stt.engine is none)"),
}
"""The values of ``stt.engine``."""

_TEXT_TO_SPEECH: Final[Mapping[str, Callable[[TextToSpeechOptions], TextToSpeech]]] = {
    "auto": _first_installed,
    "flite": lambda options: ProgramVoice(FLITE, options),
    "espeak-ng": lambda options: ProgramVoice(ESPEAK_NG, options),
    "espeak-library": EspeakLibraryVoice,
    "piper": PiperVoice,
    "openai": _http_text_to_speech,
    "wyoming": _wyoming_voice,
    "none": lambda _options: MissingEngine("switched off (tts.engine is none)"),
}
"""The values of ``tts.engine``."""
