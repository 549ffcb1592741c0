"""TurnNews: one turn as a console shows it."""

from dataclasses import dataclass, field
from typing import Any

from jarvis_ear.delivery.events import Finished
from jarvis_ear.hearing.utterance import Utterance
from jarvis_ear.system.turn_story import Stage, TurnStory


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
    """What was understood: its length, and the words if the owner wants them shown."""

    def capture(self, utterance: Utterance, now: float) -> None:
        """Note the utterance."""
        self.story.capture(utterance, now)

    def understand(self, text: str, now: float, *, words: bool) -> None:
        """Note the transcript."""
        self.story.reach(Stage.TRANSCRIPT, now)
        self.heard = {"characters": len(text), **({"transcript": text} if words else {})}

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
        return {
            "id": story.turn_id,
            "began_at": round(self.began_at, 1),
            "score": None if story.score is None else round(story.score, 2),
            "speech_s": None if story.speech_s is None else round(story.speech_s, 2),
            "stages_ms": {stage.name.lower(): ms for stage, ms in story.latencies_ms().items()},
            "outcome": self.outcome,
            "cause": self.cause,
            "provider": self.provider,
            "chunks": self.chunks,
            **self.heard,
        }
