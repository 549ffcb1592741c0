"""Kinds of journal records about turns and the link to the backend."""

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

NO_SPEECH: Final = Kind(
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
    *(NO_SPEECH, DROPPED, UNFINISHED, KEPT),
)

BY_OUTCOME: Final[Mapping[str, Kind]] = {kind.outcome: kind for kind in ENDINGS}
"""The kind for each end of a turn, by OUTCOME."""


_WHEN: Final = Remedy(
    "when the backend came and went",
    "journalctl -u jarvis-ear --since today EVENT=BackendUnreachable EVENT=BackendReached",
)

BACKEND_UNREACHABLE: Final = Kind(
    "BackendUnreachable",
    "e32899a2fc6d46f3a60b2995ad0af9a8",
    "The backend at @BACKEND@ cannot be reached",
    "It said, or the network did: @REASON@\n\nThe backend does not run, its machine or the network "
    "is down, its name is not known, or a firewall is in between. It is tried again for ever, "
    "every few seconds, and told once. A sentence waits 30 s for it.",
    (
        Remedy(
            "whether the service may reach that address",
            "systemctl show jarvis-ear -p IPAddressAllow",
        ),
        Remedy("allow it: IPAddressAllow= in", "systemctl edit jarvis-ear"),
        _WHEN,
    ),
)

PASSWORD_REJECTED: Final = Kind(
    "PasswordRejected",
    "8d2aff0701944f2c95fb79acafc58308",
    "The backend at @BACKEND@ does not accept the password",
    "It said: @REASON@\n\nThe password of the ear and that of the backend differ. It is tried "
    "again at long intervals, so that nothing is locked out.",
    (
        Remedy("where the password comes from", "jarvis-ear config"),
        Remedy("once it is changed", "systemctl restart jarvis-ear"),
    ),
)

BACKEND_FOREIGN: Final = Kind(
    "BackendForeign",
    "b8728ede72bb4fa3bbfec15c709cde78",
    "What answers at @BACKEND@ does not speak as a backend does",
    "In particular: @REASON@\n\nAnother program listens there, a proxy is in between, or the "
    "backend is of another kind or version.",
    (Remedy("what address is configured: `backend.url`", "jarvis-ear config"),),
)

BACKEND_REACHED: Final = Kind(
    "BackendReached",
    "e474c4ed7b7a45218c54287d118cb965",
    "The backend at @BACKEND@ is reached",
    "The link is up and authenticated. AWAY_MS in the record says how long it was gone; the first "
    "time there is none.",
    (_WHEN,),
)

PLAINTEXT: Final = Kind(
    "PlaintextAllowed",
    "dc8b658e2b4a47d3829c9ae8cb43c3f6",
    "Password and voice go to @BACKEND@ unencrypted",
    "Whoever shares the network can read the password and hear what is said to the ear. "
    "`backend.allow_plaintext` allows it.",
    (Remedy("give the backend https:// in `backend.url`, and a certificate (`backend.ca_file`)"),),
)

BUS_UNREACHABLE: Final = Kind(
    "BusUnreachable",
    "7c891698b58b4589bc9f1aad46ff32b9",
    "The event bus at @BUS@ cannot be used",
    "It said, or the network did: @REASON@\n\nThe ear hears and answers without it. Until it is "
    "there again, nobody sees on the bus how the ear is, or mutes it from there.",
    (
        Remedy("what address is configured: `bus.url`", "jarvis-ear config"),
        Remedy(
            "when it came and went",
            "journalctl -u jarvis-ear --since today EVENT=BusUnreachable EVENT=BusReached",
        ),
    ),
)

BUS_REACHED: Final = Kind(
    "BusReached",
    "62424c0b5b9d4d56b65b37699e33dced",
    "The event bus at @BUS@ is reached",
    "The ear has told it how things are.",
)

KINDS: Final = (
    *(BACKEND_UNREACHABLE, PASSWORD_REJECTED, BACKEND_FOREIGN, BACKEND_REACHED, PLAINTEXT),
    *(BUS_UNREACHABLE, BUS_REACHED),
)
