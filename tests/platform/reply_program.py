"""What test_card.py runs with a virtual card in its environment: it plays the files it is given.

The first argument is the options of the speaker, as JSON. It prints what it was told: the start,
the end, and the time and length of each piece of far end.
"""

import json
import logging
import queue
import sys
from pathlib import Path

from jarvis_ear import config
from jarvis_ear.devices.speaker import Speaker


def main() -> None:
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(message)s")
    told, far = queue.Queue(), []
    with Speaker(
        config.SpeakerOptions(**json.loads(sys.argv[1])),
        on_started=lambda turn: told.put(["started", turn]),
        on_ended=lambda turn: told.put(["ended", turn]),
        on_far=lambda pcm, at: far.append([at, len(pcm) // 2]),
    ) as speaker:
        for index, path in enumerate(sys.argv[2:]):
            speaker.play("turn", index, "audio/wav", Path(path).read_bytes())
        speaker.finish("turn")
        sys.stdout.write(json.dumps([told.get(timeout=10), told.get(timeout=10), far]))


main()
