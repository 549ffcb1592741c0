"""Options of hearing, and the base class of every section of options."""

from pathlib import Path
from typing import Annotated, Final, Literal, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from jarvis_ear.config_checks import checked_phrases
from jarvis_ear.paths import expand_home


class Section(BaseModel):
    """Base class: frozen, without unknown names, with docstrings as descriptions."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class GateOptions(Section):
    """The voice activity detector that decides when the wake model runs."""

    mode: Literal["vad", "always"] = "vad"
    """`vad`: the model runs while there may be speech. `always`: it runs all the time."""
    aggressiveness: int = Field(default=1, ge=0, le=3)
    """Strictness of the detector (webrtcvad mode). Above 1, it misses quiet microphones."""
    lookback_ms: int = Field(default=320, ge=80, le=1600)
    """Sound before the opening of the gate that is passed to the model first."""
    hangover_ms: int = Field(default=480, ge=0, le=5000)
    """Time that the gate stays open after the last speech."""


STRICTNESS: Final = {"strict": 0.8, "balanced": 0.5, "eager": 0.3}
"""Minimum score of a step for each value of `hearing.wake.strictness`."""


SHIPPED_WORDS: Final = ("hey_jarvis", "alexa", "hey_mycroft", "hey_marvin")
"""Names of the wake words whose models openwakeword ships."""

MAX_WORDS: Final = 8
"""Wake words at once: each costs one classifier, and adds its own false alarms."""


class WakeWord(Section):
    """One of several wake words, an item of `hearing.wake.words`."""

    model: Annotated[str, AfterValidator(expand_home)] = Field(min_length=1)
    """Name of a shipped model, or the path of an openWakeWord model (`.onnx`)."""
    threshold: float = Field(default=0.0, ge=0, le=0.99)
    """Minimum score of a step; 0: as for all words."""
    patience: int = Field(default=0, ge=0, le=10)
    """Number of consecutive steps that must reach the threshold; 0: as for all words."""
    agent_id: str = Field(default="", pattern=r"^[!-~]{0,64}$")
    """`agentId` of the turns of this word, on the wire that names agents (`socketio`). Empty:
    `backend.agent_id`."""
    chime: str = ""
    """WAV file that is played instead of `sounds.wake`, or `none`; empty: that one."""

    @property
    def name(self) -> str:
        """The word as people write it: "Hey Jarvis", or the name of its file."""
        is_shipped = self.model in SHIPPED_WORDS
        return self.model.replace("_", " ").title() if is_shipped else Path(self.model).stem

    @property
    def id(self) -> str:
        """The word as programs name it: `hey_jarvis`, or the name of its file."""
        return Path(self.model).stem

    @property
    def sound(self) -> str:
        """Name of the sound that confirms it, see ``sound_files.load_sounds``."""
        return f"wake:{self.model}" if self.chime else "wake"


HEY_JARVIS: Final = WakeWord(model=SHIPPED_WORDS[0])
"""The wake word, unless another one is configured."""


def _word(given: object) -> object:
    """Return a word that is given by its model alone as a table."""
    return {"model": given} if isinstance(given, str) else given


class WakeOptions(Section):
    """Detection of the wake word."""

    model: Path | None = None
    """Another wake word: `alexa`, `hey_mycroft`, `hey_marvin`, or an openWakeWord model (`.onnx`).
    Empty: "hey jarvis"."""
    words: tuple[Annotated[WakeWord, BeforeValidator(_word)], ...] = Field(
        default=(), max_length=MAX_WORDS
    )
    """One or more wake words, instead of `model`: names or paths, or in the file tables with
    `model`, `threshold`, `patience`, `agent_id` and `chime`, which apply to that word only."""
    stop_model: Path | None = None
    """An openWakeWord model (`.onnx`) of a word, such as "stop", that ends the reply being played
    without the wake word. A reply that contains the word may end itself. Empty: none."""
    strictness: Literal["strict", "balanced", "eager"] = "balanced"
    """How sure the ear must be of the wake word. `strict` wakes least often by mistake; `eager`
    misses the fewest words in noise."""
    effort: Literal["best", "light"] = "best"
    """`light` is for small boards: the network runs only where a much smaller one may have heard
    the word, which saves CPU while people or the television talk, and misses more words. For the
    shipped words only, without `hey_marvin`."""
    threshold: float = Field(default=0.0, ge=0, le=0.99)
    """Minimum score of a step, instead of that of `strictness` (0.8, 0.5 or 0.3). A lower threshold
    detects more words, and causes more false alarms. 0: that of `strictness`."""
    patience: int = Field(default=1, ge=1, le=10)
    """Number of consecutive steps (80 ms) that must reach the threshold."""
    refractory_ms: int = Field(default=1500, ge=0, le=10_000)
    """Minimum time between two detections; the score must also have fallen in between."""

    shadow_threshold: float = Field(default=0.0, ge=0, le=0.99)
    """A second threshold that does not wake the ear: where it would decide differently from the one
    in force, the ear logs and counts that (`shadow_wakes`, `shadow_misses`). 0: none."""

    @property
    def least_score(self) -> float:
        """Minimum score of a step, 0 ... 1."""
        return self.threshold or STRICTNESS[self.strictness]

    @property
    def all_words(self) -> tuple[WakeWord, ...]:
        """Every word that the ear listens for, with its own threshold and patience."""
        one = HEY_JARVIS if self.model is None else WakeWord(model=str(self.model))
        return tuple(
            word.model_copy(
                update={
                    "threshold": word.threshold or self.least_score,
                    "patience": word.patience or self.patience,
                }
            )
            for word in self.words or (one,)
        )

    @model_validator(mode="after")
    def _name_each_word_once(self) -> Self:
        """Refuse a word that is given twice."""
        models = [word.model for word in self.words]
        if twice := next((model for model in models if models.count(model) > 1), None):
            raise ValueError(f"words: {twice} is given twice, expected once")
        return self


class WakeLedgerOptions(Section):
    """Clips of wake words and near misses, to find out why the ear does or does not wake."""

    enabled: bool = False
    """Store the sound from 3 s before to 1 s after each wake word and near miss in the state
    folder, readable by the ear's user only; see `jarvis-ear events`. Off: no sound is stored;
    existing clips stay until `jarvis-ear events purge`."""
    max_mb: int = Field(default=50, ge=1, le=10_000)
    """Maximum size of all clips in megabytes; the oldest are removed. A clip takes 0.1."""
    max_days: int = Field(default=14, ge=1, le=3650)
    """Maximum age of a clip in days."""


class EndpointingOptions(Section):
    """The beginning and the end of an utterance."""

    onset_ms: int = Field(default=100, ge=20, le=1000)
    """Amount of speech that begins an utterance."""
    pre_roll_ms: int = Field(default=500, ge=0, le=2000)
    """Sound before the onset that is sent with the utterance."""
    hangover_ms: int = Field(default=800, ge=100, le=5000)
    """Silence that ends an utterance. A longer one allows pauses, a shorter one answers faster."""
    go_on_ms: int = Field(default=1500, ge=0, le=5000)
    """Time after the end of an utterance, before the reply begins, in which further speech belongs
    to the same sentence: the ear then sends the whole sentence instead. 0: never."""
    below_wake_word_db: float = Field(default=10.0, ge=4, le=40)
    """How much quieter than the wake word a command may be, measured over its loudest 0.2 s;
    quieter speech is not sent. If the television talks before the wake word, the ear allows less. A
    higher value accepts softer speech, and more sound of the room."""
    no_speech_ms: int = Field(default=5000, ge=500, le=30_000)
    """Time without speech after the wake word after which the ear goes idle and sends nothing."""
    max_ms: int = Field(default=28_000, ge=1000, le=29_000)
    """Maximum length of an utterance; it is cut there. The backend accepts at most 30 s."""

    @model_validator(mode="after")
    def _leave_room_for_speech(self) -> Self:
        """Refuse a maximum length that pre-roll and onset would fill."""
        if self.max_ms <= self.pre_roll_ms + self.onset_ms:
            raise ValueError("max_ms must be more than pre_roll_ms and onset_ms together")
        return self


class ConditioningOptions(Section):
    """Filters for the sound; all are off by default."""

    high_pass_hz: int = Field(default=0, ge=0, le=500)
    """Remove lower frequencies: 100 helps against mains hum without changing voices. 0: off."""
    gain_db: float = Field(default=0.0, ge=-30, le=30)
    """Amplify the sound. Samples that exceed 16 bits are clipped."""


class HeardOptions(ConditioningOptions):
    """Filters for the sound in which wake word and end of speech are detected."""


class SentOptions(ConditioningOptions):
    """Filters for the sound that is sent to the backend."""


class HearingOptions(Section):
    """From sound to utterances."""

    heard: HeardOptions = HeardOptions()
    sent: SentOptions = SentOptions()
    gate: GateOptions = GateOptions()
    wake: WakeOptions = WakeOptions()
    wake_ledger: WakeLedgerOptions = WakeLedgerOptions()
    endpointing: EndpointingOptions = EndpointingOptions()
    reply_ms: int = Field(default=180_000, ge=1000, le=600_000)
    """Maximum wait for a reply, after which the ear abandons the turn."""
    follow_up_ms: int = Field(default=0, ge=0, le=30_000)
    """Time after a reply during which speech needs no wake word. 0: the wake word is always needed,
    unless the backend asks for an answer."""
    asked_follow_up_ms: int = Field(default=8000, ge=0, le=30_000)
    """The same after a reply whose backend asks for an answer (`followUp`). 0: never."""
    follow_up_ends_on: Annotated[str, BeforeValidator(checked_phrases)] = (
        "thank you, thanks, never mind, nothing, no thanks, no thank you, "
        "danke, nein danke, nichts, schon gut"
    )
    """Phrases that end a conversation: if a transcript is one of these, speech after the reply
    needs the wake word. Separated by commas, in a file also a list."""

    @property
    def last_words(self) -> frozenset[str]:
        """The phrases of ``follow_up_ends_on``."""
        return frozenset(self.follow_up_ends_on.split(", ")) - {""}
