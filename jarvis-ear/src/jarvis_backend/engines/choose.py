"""Makes the engines that the options name; a missing one is logged once and replaced."""

import logging
import os
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Final

from jarvis_backend.brain import Brain, HouseholdBrain, LocalFirstBrain
from jarvis_backend.config import BackendConfig, SpeechToTextOptions, TextToSpeechOptions
from jarvis_backend.conversation import Engines
from jarvis_backend.engines.engine import MissingEngine, SpeechToText, TextToSpeech
from jarvis_backend.engines.program import ESPEAK_NG, FLITE, ProgramVoice
from jarvis_backend.engines.sphinx import SphinxSpeechToText
from jarvis_backend.engines.voices import EspeakLibraryVoice, PiperVoice
from jarvis_backend.engines.vosk import VoskSpeechToText
from jarvis_backend.engines.whisper import WhisperSpeechToText
from jarvis_backend.errors import EngineMissing
from jarvis_backend.models import models_folder, state_folder

_LOG: Final = logging.getLogger(__name__)


def choose_engines(config: BackendConfig) -> Engines:
    """Make the engines. None of them is loaded or started yet."""
    stt: SpeechToText
    tts: TextToSpeech
    models = models_folder(config.state_dir)
    try:
        stt = _SPEECH_TO_TEXT[config.stt.engine](config.stt, models)
    except EngineMissing as missing:
        _LOG.warning("no speech-to-text, every utterance will fail: %s", missing)
        stt = MissingEngine(str(missing))
    try:
        tts = _TEXT_TO_SPEECH[config.tts.engine](config.tts, models)
    except EngineMissing as missing:
        _LOG.warning("no text-to-speech, replies stay text: %s", missing)
        tts = MissingEngine(str(missing))
    return Engines(stt, _brain(config), tts)


def _brain(config: BackendConfig) -> Brain:
    folder = state_folder(os.environ, config.state_dir)
    household = HouseholdBrain(lambda: datetime.now().astimezone(), folder)
    if config.brain.engine == "openai":
        from jarvis_backend.engines.openai_brain import HttpBrain  # noqa: PLC0415 - loads httpx
        from jarvis_backend.tools import known_tools  # noqa: PLC0415 - likewise

        return _local_first(config, household, HttpBrain(config.brain, known_tools()))
    if config.brain.engine == "home-assistant":
        from jarvis_backend.home_assistant import HomeAssistantBrain  # noqa: PLC0415 - likewise

        return _local_first(config, household, HomeAssistantBrain(config.brain))
    return household


def _local_first(config: BackendConfig, household: HouseholdBrain, brain: Brain) -> Brain:
    return LocalFirstBrain(household, brain) if config.brain.local_first else brain


def _first_installed(options: TextToSpeechOptions, models: Path) -> TextToSpeech:
    reasons = []
    for name in ("flite", "espeak-ng", "espeak-library"):
        try:
            return _TEXT_TO_SPEECH[name](options, models)
        except EngineMissing as missing:
            reasons.append(str(missing))
    raise EngineMissing("; or ".join(reasons))


def _http_speech_to_text(options: SpeechToTextOptions, _models: Path) -> SpeechToText:
    from jarvis_backend.engines import openai_http  # noqa: PLC0415 - loads httpx, for it only

    return openai_http.HttpSpeechToText(options)


def _http_text_to_speech(options: TextToSpeechOptions, _models: Path) -> TextToSpeech:
    from jarvis_backend.engines import openai_http  # noqa: PLC0415 - loads httpx, for it only

    return openai_http.HttpTextToSpeech(options)


def _wyoming_ear(options: SpeechToTextOptions, _models: Path) -> SpeechToText:
    from jarvis_backend.engines.wyoming import WyomingSpeechToText  # noqa: PLC0415 - for this only

    return WyomingSpeechToText(options)


def _wyoming_voice(options: TextToSpeechOptions, _models: Path) -> TextToSpeech:
    from jarvis_backend.engines.wyoming import WyomingTextToSpeech  # noqa: PLC0415 - for this only

    return WyomingTextToSpeech(options)


_SPEECH_TO_TEXT: Final[Mapping[str, Callable[[SpeechToTextOptions, Path], SpeechToText]]] = {
    "pocketsphinx": lambda options, _models: SphinxSpeechToText(options),
    "faster-whisper": WhisperSpeechToText,
    "vosk": VoskSpeechToText,
    "openai": _http_speech_to_text,
    "wyoming": _wyoming_ear,
    "none": lambda _options, _models: MissingEngine("switched off (stt.engine is none)"),
}
"""The values of ``stt.engine``."""

_TEXT_TO_SPEECH: Final[Mapping[str, Callable[[TextToSpeechOptions, Path], TextToSpeech]]] = {
    "auto": _first_installed,
    "flite": lambda options, _models: ProgramVoice(FLITE, options),
    "espeak-ng": lambda options, _models: ProgramVoice(ESPEAK_NG, options),
    "espeak-library": lambda options, _models: EspeakLibraryVoice(options),
    "piper": PiperVoice,
    "openai": _http_text_to_speech,
    "wyoming": _wyoming_voice,
    "none": lambda _options, _models: MissingEngine("switched off (tts.engine is none)"),
}
"""The values of ``tts.engine``."""
