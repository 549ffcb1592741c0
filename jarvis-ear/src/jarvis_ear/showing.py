"""Showing: what a console is shown of the ear."""

import time

from jarvis_ear import __version__
from jarvis_ear.config import Config
from jarvis_ear.ears import wake_word
from jarvis_ear.hearing.events import State
from jarvis_ear.system.feed import Feed
from jarvis_ear.system.publisher import Publisher


class Showing:
    """The feed, and what takes down turns for it. Owned by the main thread.

    The feed itself is for any thread, and so is the publisher, as it says.
    """

    def __init__(self, options: Config) -> None:
        self.feed = Feed()
        """What every watcher is told."""
        self.publisher = Publisher(self.feed, transcripts=options.console.transcripts)
        """What takes down turns for it."""
        self.show(options)
        self.feed.put("state", {"name": str(State.IDLE), "why": "", "at": time.time()})

    def show(self, options: Config) -> None:
        """Show options that a reload may change, and from now on no more words than they allow."""
        self.publisher.change(transcripts=options.console.transcripts)
        wake = {"word": wake_word(options.hearing), "threshold": options.hearing.wake.threshold}
        self.feed.put("about", {"agent": options.backend.agent_id, "version": __version__})
        self.feed.put("wake", wake)
        self.feed.put("quiet_hours", {"between": options.microphone.mute_between})
        self.feed.put("words", {"shown": options.console.transcripts})
