"""How a turn can end."""

from collections.abc import Mapping
from typing import Final

from jarvis_ear.journal.kind import Kind, Remedy

ENDED: Final = "TurnEnded"

_STORY: Final = Remedy("its whole story", "journalctl -u jarvis-ear TURN_ID=@TURN_ID@")
_BACKEND: Final = Remedy(
    "when the backend came and went",
    "journalctl -u jarvis-ear --since today EVENT=BackendUnreachable EVENT=BackendReached",
)

ANSWERED: Final = Kind(
    ENDED,
    "bd904e87ab4049a8a8eb9683c06b21a9",
    "Turn @TURN_ID@ was answered",
    "The backend ran the sentence, and said that its reply is complete. HEARD in the record says "
    "how much of the reply was heard, and HEARD_REASON why not all of it: the speech synthesis of "
    "the backend, the format of the sound, or the loudspeaker. The message says where the time "
    "went: "
    "the pause that shows that a sentence is over (`hearing.endpointing.hangover_ms`), sending, "
    "understanding, and answering.",
    (
        _STORY,
        Remedy(
            "the slowest ones",
            "journalctl -u jarvis-ear --since today EVENT=TurnEnded OUTCOME=done -o cat"
            " | sort -k 5 -rn | head",
        ),
    ),
    "done",
)

FAILED: Final = Kind(
    ENDED,
    "3345980aa59f4b71aedb860f10e80203",
    "Turn @TURN_ID@ failed: @CAUSE@",
    "The backend said that it cannot, or it never got the sentence in a form it accepts. The cause "
    "is @CAUSE@: not_understood is a sentence without words that it knows, often the television; "
    "stt_unavailable, stt_failed, backend_timeout and backend_error are troubles behind the "
    "backend; too_large and bad_audio are about the sound that was sent; storage_failed and "
    "stopping are about the ear itself, and then the sentence was not run.",
    (_STORY, Remedy("look into the log of the backend at the same time")),
    "failed",
)

EXPIRED: Final = Kind(
    ENDED,
    "74330e7b5196485882d7d27c8eea6c45",
    "Turn @TURN_ID@ was not sent: @CAUSE@",
    "The sentence waited for the backend until nobody would have wanted it any more, or gave way "
    "to newer ones. It was not run: a late command is worse than none.",
    (_BACKEND, Remedy("ask the ear whether it reaches the backend", "jarvis-ear status")),
    "expired",
)

IN_DOUBT: Final = Kind(
    ENDED,
    "42b500d8fed041c389267cdf43208e48",
    "Turn @TURN_ID@ was perhaps run: @CAUSE@",
    "The link to the backend, or the ear itself, died at the moment in which the sentence was "
    "handed over. It is never sent again, because a command must not run twice. What it asked "
    "for may or may not have happened.",
    (_STORY, _BACKEND),
    "in_doubt",
)

REPLY_LOST: Final = Kind(
    ENDED,
    "3c17855048d3484f96b6ec3f0365dc94",
    "Turn @TURN_ID@ was run, and its reply did not come: @CAUSE@",
    "The backend took the sentence, and then the link died or the backend fell silent "
    "(@CAUSE@). What the sentence asked for was probably done.",
    (_STORY, _BACKEND),
    "reply_lost",
)

REPLACED: Final = Kind(
    ENDED,
    "5d6d409b1d2b44359d259e5f0a85e9a8",
    "Turn @TURN_ID@ was not sent: something newer was said",
    "The sentence waited for the backend when somebody spoke to the ear again, or told it to be "
    'quiet. It was not run. `backend.waiting = "queue"` sends both, one after the other.',
    (_STORY, _BACKEND),
    "replaced",
)

ABANDONED: Final = Kind(
    ENDED,
    "024cd10e16114f0f92d187a98f5a3ba0",
    "Nobody waited for turn @TURN_ID@ any more: @CAUSE@",
    "The sentence was sent. Then somebody said something newer, the reply took longer than anybody "
    "waits, or the ear was stopped. Nothing is wrong, unless it happens often.",
    (_STORY,),
    "abandoned",
)

NOBODY_SPOKE: Final = Kind(
    ENDED,
    "5746b6b41a4b4c5f802ad0b05d12f492",
    "The ear woke, and nobody spoke (turn @TURN_ID@)",
    "The wake word was heard, and no sentence followed within the time that "
    "`hearing.endpointing.no_speech_ms` allows. Somebody changed their mind, or it was a false "
    "wake: the television, or a word that sounds alike. WAKE_SCORE in the record says how sure "
    "the model was. Nothing was sent.",
    (
        Remedy(
            "how often it happened today",
            "journalctl -u jarvis-ear --since today EVENT=TurnEnded OUTCOME=no_speech",
        ),
        Remedy("raise `hearing.wake.threshold`, or `hearing.wake.patience`"),
    ),
    "no_speech",
)

DROPPED: Final = Kind(
    ENDED,
    "1de2531f0c054bf4a385ad02445bc072",
    "Turn @TURN_ID@ ended before anything was sent: @CAUSE@",
    "Something came in between: the wake word once more (WakeDetected), a mute (Muted), the "
    "microphone went away (MicrophoneLost), or the sound was over (SoundEnded).",
    (_STORY,),
    "dropped",
)

UNFINISHED: Final = Kind(
    ENDED,
    "a4a79d148c9644a3a39dd21b6494efc7",
    "The end of turn @TURN_ID@ was not seen",
    "The ear was stopped in the middle of it. If the sentence was complete and not sent, the next "
    "start goes on with it.",
    (_STORY,),
    "unfinished",
)

KEPT: Final = Kind(
    ENDED,
    "6497c3ef3e934d0db69790715a04f54c",
    "Turn @TURN_ID@ waits for the next start",
    "The ear was stopped before the sentence could be sent. It is on file, and the next start "
    "sends it unless it is too old by then.",
    (_STORY,),
    "kept",
)

ENDINGS: Final = (
    *(ANSWERED, FAILED, EXPIRED, IN_DOUBT, REPLY_LOST, REPLACED, ABANDONED),
    *(NOBODY_SPOKE, DROPPED, UNFINISHED, KEPT),
)

BY_OUTCOME: Final[Mapping[str, Kind]] = {kind.outcome: kind for kind in ENDINGS}
"""Every way in which a turn ends, found by its OUTCOME."""
