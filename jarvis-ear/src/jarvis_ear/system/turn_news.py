"""TurnNews: one turn as a console shows it."""

from dataclasses import dataclass, field
from typing import Any, Final

from jarvis_ear.delivery.events import Finished
from jarvis_ear.hearing.utterance import Utterance
from jarvis_ear.system.turn_story import Stage, TurnStory

MAX_QUOTED: Final = 2000
"""Characters of a text from the backend: more than anybody says in half a minute, or reads."""


@dataclass(slots=True)
class TurnNews:
    """What is shown of one turn. Owned by the publisher, under its lock."""

    story: TurnStory
    """When what was reached."""
    began_at: float
    """Seconds since 1970."""
    outcome: str = ""
    """How it ended; empty while it goes on."""
    cause: str = ""
    """Why it ended so, where there is more to say."""
    provider: str = ""
    """Who was asked for the answer."""
    chunks: int = 0
    """Pieces of spoken reply so far."""
    heard: dict[str, object] = field(default_factory=dict)
    """What was said: how long it was, and the words if the owner wants them shown."""

    def capture(self, utterance: Utterance, now: float) -> None:
        """Note the utterance."""
        self.story.capture(utterance, now)

    def understand_partly(self, text: str, *, words: bool) -> None:
        """Note what was understood so far."""
        self._quote("characters", "partial", text, words=words)

    def understand(self, text: str, now: float, *, words: bool) -> None:
        """Note the transcript."""
        self.story.reach(Stage.TRANSCRIPT, now)
        self.heard.pop("partial", None)
        self._quote("characters", "transcript", text, words=words)

    def answer(self, text: str, *, words: bool) -> None:
        """Note the answer, where the wire says it as text."""
        self._quote("reply_characters", "reply", text, words=words)

    def forget_words(self) -> None:
        """Have known only how long they were."""
        for words in ("partial", "transcript", "reply"):
            self.heard.pop(words, None)

    def finish(self, finished: Finished, now: float) -> None:
        """Note the verdict."""
        self.story.finished = finished
        self.outcome, self.cause = str(finished.verdict), finished.code
        self.end_if_over(now)

    def end_if_over(self, now: float) -> None:
        """Note the moment from which nothing more will happen."""
        if self.story.is_over:
            self.story.reach(Stage.DONE, now)

    def value(self) -> dict[str, Any]:
        """Return all of it, as JSON says it."""
        story = self.story
        heard, why = (story.heard() if story.is_over else None) or ("", "")
        return {
            "id": story.turn_id,
            "began_at": round(self.began_at, 1),
            "score": None if story.score is None else round(story.score, 2),
            "speech_s": None if story.speech_s is None else round(story.speech_s, 2),
            "stages_ms": {stage.name.lower(): ms for stage, ms in story.latencies_ms().items()},
            "outcome": self.outcome,
            "cause": self.cause,
            "provider": self.provider[:MAX_QUOTED],
            "chunks": self.chunks,
            "heard": str(heard),
            "heard_reason": str(why),
            **self.heard,
        }

    def _quote(self, length: str, name: str, text: str, *, words: bool) -> None:
        self.heard[length] = len(text)
        if words:
            self.heard[name] = text[:MAX_QUOTED]
