"""Kinds of journal records about turns, the link to the backend and the event bus."""

from collections.abc import Mapping
from typing import Final

from jarvis_ear.journal.kind import Kind, Remedy

ENDED: Final = "TurnEnded"

_RECORDS: Final = Remedy("all records of the turn", "journalctl -u jarvis-ear TURN_ID=@TURN_ID@")
_LINK: Final = Remedy(
    "when the backend was reachable",
    "journalctl -u jarvis-ear --since today EVENT=BackendUnreachable EVENT=BackendReached",
)
_BACKEND_LOG: Final = Remedy("read the log of the backend at the same time")

ANSWERED: Final = Kind(
    ENDED,
    "bd904e87ab4049a8a8eb9683c06b21a9",
    "Turn @TURN_ID@ was answered",
    "The backend ran the command and declared its reply complete. HEARD in the record says how "
    "much of the reply was heard, and HEARD_REASON why not all of it: the speech synthesis of the "
    "backend, the format of the sound, or the loudspeaker. The message lists the latencies: the "
    "silence that ends an utterance (`hearing.endpointing.hangover_ms`), the upload, "
    "speech-to-text and the answer.",
    (
        _RECORDS,
        Remedy(
            "the slowest turns",
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
    "The backend reported an error, or the utterance could not be sent. The cause is @CAUSE@: "
    "not_understood means that no words were recognised, often because of the television; "
    "stt_unavailable, stt_failed, backend_timeout and backend_error are errors behind the backend; "
    "too_large and bad_audio concern the sound that was sent; storage_failed and stopping concern "
    "the ear itself, and the command was not run.",
    (_RECORDS, _BACKEND_LOG),
    "failed",
)

EXPIRED: Final = Kind(
    ENDED,
    "74330e7b5196485882d7d27c8eea6c45",
    "Turn @TURN_ID@ was not sent: @CAUSE@",
    "The utterance became too old while it waited for the backend, or made room for newer ones. "
    "The command was not run: a late command is worse than none.",
    (_LINK, Remedy("check whether the ear reaches the backend", "jarvis-ear status")),
    "expired",
)

IN_DOUBT: Final = Kind(
    ENDED,
    "42b500d8fed041c389267cdf43208e48",
    "Turn @TURN_ID@ may have been run: @CAUSE@",
    "The link to the backend was lost, or the ear was killed, while the utterance was handed over. "
    "It is never sent again, because a command must not run twice.",
    (_RECORDS, _LINK),
    "in_doubt",
)

REPLY_LOST: Final = Kind(
    ENDED,
    "3c17855048d3484f96b6ec3f0365dc94",
    "Turn @TURN_ID@ was run, but its reply is missing: @CAUSE@",
    "The backend accepted the utterance. Then the link was lost, or the reply did not come in time "
    "or was too big (@CAUSE@). The command was probably run.",
    (_RECORDS, _LINK),
    "reply_lost",
)

REPLACED: Final = Kind(
    ENDED,
    "5d6d409b1d2b44359d259e5f0a85e9a8",
    "Turn @TURN_ID@ was not sent: a newer utterance replaced it",
    "The utterance waited for the backend when the person spoke again, or stopped the ear. The "
    'command was not run. `backend.waiting = "queue"` sends both utterances in order.',
    (_RECORDS, _LINK),
    "replaced",
)

ABANDONED: Final = Kind(
    ENDED,
    "024cd10e16114f0f92d187a98f5a3ba0",
    "Turn @TURN_ID@ was abandoned: @CAUSE@",
    "The utterance was sent. Then the person spoke again, the reply took too long, or the ear was "
    "stopped. This is normal unless it happens often.",
    (_RECORDS,),
    "abandoned",
)

SUPERSEDED: Final = Kind(
    ENDED,
    "5832e6fce1ee7cf452036e3f2f1af05b",
    "Turn @TURN_ID@ was only the beginning of a sentence",
    "The person continued within `hearing.endpointing.go_on_ms` after the end was detected. "
    "The whole sentence is another turn, SUPERSEDED_BY in the record. CAUSE not_committed: the "
    "beginning was not run; committed: the backend had it already and may have run it, but its "
    "reply is not played. If this happens often, raise `hearing.endpointing.hangover_ms`.",
    (_RECORDS,),
    "superseded",
)

NO_SPEECH: Final = Kind(
    ENDED,
    "5746b6b41a4b4c5f802ad0b05d12f492",
    "No speech followed the wake word (turn @TURN_ID@)",
    "The wake word was detected, but no speech followed within "
    "`hearing.endpointing.no_speech_ms`. Either the person changed their mind, or the detection "
    "was false: the television, or a similar word. WAKE_SCORE in the record is the score of the "
    "detection. REFUSED counts speech that was not taken for that of the person, see EVENT "
    "SpeechRefused. Nothing was sent.",
    (
        Remedy(
            "how often it happened today",
            "journalctl -u jarvis-ear --since today EVENT=TurnEnded OUTCOME=no_speech",
        ),
        Remedy('set `hearing.wake.strictness = "strict"`, or raise `hearing.wake.patience`'),
    ),
    "no_speech",
)

DROPPED: Final = Kind(
    ENDED,
    "1de2531f0c054bf4a385ad02445bc072",
    "Turn @TURN_ID@ ended before anything was sent: @CAUSE@",
    "It was interrupted: by another wake word (WakeDetected), a mute (Muted), the loss of the "
    "microphone (MicrophoneLost) or the end of the sound (SoundEnded). ResumptionDiscarded: a "
    "sentence seemed to continue and did not; the turn CONTINUES continued as before.",
    (_RECORDS,),
    "dropped",
)

ANSWERED_ELSEWHERE: Final = Kind(
    ENDED,
    "e062247607ce69b1ea4f77de23028fdc",
    "Turn @TURN_ID@ is answered by the ear @ANSWERED_BY@",
    "An ear of the same `rooms.group` heard the wake word better, or had answered already. Nothing "
    "was sent, and a reply that the wake word had paused continued. If the wrong room answers, "
    "make the microphones equally sensitive: raise `hearing.heard.gain_db` of the less sensitive "
    "one.",
    (
        _RECORDS,
        Remedy(
            "which ears answered today",
            "journalctl -u jarvis-ear --since today EVENT=TurnEnded OUTCOME=answered_elsewhere",
        ),
        Remedy("the other ears, and how often each answered", "jarvis-ear status --json"),
    ),
    "answered_elsewhere",
)

UNFINISHED: Final = Kind(
    ENDED,
    "a4a79d148c9644a3a39dd21b6494efc7",
    "Turn @TURN_ID@ did not end",
    "The ear was stopped during the turn. A complete utterance that was not sent is sent by the "
    "next start.",
    (_RECORDS,),
    "unfinished",
)

KEPT: Final = Kind(
    ENDED,
    "6497c3ef3e934d0db69790715a04f54c",
    "Turn @TURN_ID@ is kept for the next start",
    "The ear was stopped before the utterance was sent. It is on file, and the next start sends it "
    "unless it is too old by then.",
    (_RECORDS,),
    "kept",
)

ANNOUNCED: Final = Kind(
    ENDED,
    "d830d50ce712434bb9aeca3bc18dd4d8",
    "Announcement @TURN_ID@ is over",
    "The backend sent speech without a question, or `jarvis-ear say` did. It was played when the "
    "ear was idle. HEARD says how much of it was heard, and HEARD_REASON why not all of it: "
    "queue_full means that too many waited. `speaker.announcements = false` plays none of the "
    "backend.",
    (_RECORDS,),
    "announced",
)

ENDINGS: Final = (
    *(ANSWERED, FAILED, EXPIRED, IN_DOUBT, REPLY_LOST, REPLACED, ABANDONED),
    *(SUPERSEDED, NO_SPEECH, DROPPED, ANSWERED_ELSEWHERE, UNFINISHED, KEPT, ANNOUNCED),
)

BY_OUTCOME: Final[Mapping[str, Kind]] = {kind.outcome: kind for kind in ENDINGS}
"""The kind of each end of a turn, by OUTCOME."""

BACKEND_UNREACHABLE: Final = Kind(
    "BackendUnreachable",
    "e32899a2fc6d46f3a60b2995ad0af9a8",
    "The backend at @BACKEND@ cannot be reached",
    "Reason: @REASON@\n\nThe backend is not running, its machine or the network is down, its name "
    "cannot be resolved, or a firewall blocks the connection. The ear retries every few seconds "
    "and logs the outage once. An utterance waits 30 s for the backend.",
    (
        Remedy("find what fails: name, port, certificate or login", "jarvis-ear doctor"),
        Remedy(
            "if the backend is on the internet, the service needs IPAddressAllow=",
            "systemctl edit jarvis-ear",
        ),
        _LINK,
    ),
)

PASSWORD_REJECTED: Final = Kind(
    "PasswordRejected",
    "8d2aff0701944f2c95fb79acafc58308",
    "The backend at @BACKEND@ rejects the password",
    "Reason: @REASON@\n\nThe ear and the backend have different passwords. The ear retries at long "
    "intervals, so that it is not locked out.",
    (
        Remedy("the source of the password", "jarvis-ear config"),
        Remedy("once it is changed", "systemctl restart jarvis-ear"),
    ),
)

BACKEND_FOREIGN: Final = Kind(
    "BackendForeign",
    "b8728ede72bb4fa3bbfec15c709cde78",
    "The server at @BACKEND@ does not behave like a backend",
    "Reason: @REASON@\n\nAnother program listens at that address, a proxy is in between, or the "
    "backend has another kind or version.",
    (Remedy("the configured address: `backend.url`", "jarvis-ear config"),),
)

BACKEND_REACHED: Final = Kind(
    "BackendReached",
    "e474c4ed7b7a45218c54287d118cb965",
    "The backend at @BACKEND@ is reached",
    "The link is up and authenticated. AWAY_MS in the record is the length of the outage; it is "
    "absent the first time.",
    (_LINK,),
)

PLAINTEXT: Final = Kind(
    "PlaintextAllowed",
    "dc8b658e2b4a47d3829c9ae8cb43c3f6",
    "The password and speech are sent to @BACKEND@ unencrypted",
    "Anyone on the network can read the password and hear what is said to the ear. "
    "`backend.allow_plaintext` allows it.",
    (Remedy("give the backend https:// in `backend.url`, and a certificate (`backend.ca_file`)"),),
)

BUS_UNREACHABLE: Final = Kind(
    "BusUnreachable",
    "7c891698b58b4589bc9f1aad46ff32b9",
    "The event bus at @BUS@ cannot be used",
    "Reason: @REASON@\n\nThe ear hears and answers without the bus. Until it is reached again, the "
    "ear does not report its state there, and cannot be muted from there.",
    (
        Remedy("the configured address: `bus.url`", "jarvis-ear config"),
        Remedy(
            "when the bus was reachable",
            "journalctl -u jarvis-ear --since today EVENT=BusUnreachable EVENT=BusReached",
        ),
    ),
)

BUS_REACHED: Final = Kind(
    "BusReached",
    "62424c0b5b9d4d56b65b37699e33dced",
    "The event bus at @BUS@ is reached",
    "The ear has reported its state there.",
)

BROKER_UNREACHABLE: Final = Kind(
    "BrokerUnreachable",
    "44384d2a799f471e9777927cc4b3f141",
    "The MQTT broker at @BROKER@ cannot be used",
    "Reason: @REASON@\n\nThe ear hears and answers without the broker. Until it is reached again, "
    "Home Assistant and other clients see the ear as unavailable and cannot control it.",
    (
        Remedy("the options `mqtt`", "jarvis-ear config"),
        Remedy(
            "when the broker was reachable",
            "journalctl -u jarvis-ear --since today EVENT=BrokerUnreachable EVENT=BrokerReached",
        ),
        Remedy("the broker must speak MQTT 5, as mosquitto does since version 1.6"),
        Remedy("give each ear at one broker its own name: `backend.agent_id`"),
    ),
)

BROKER_REJECTS: Final = Kind(
    "BrokerRejects",
    "b6cf557216e14c0ea60cb56a3a14d4ad",
    "The MQTT broker at @BROKER@ does not accept the login",
    "Reason: @REASON@\n\nThe ear tries again once or twice a minute.",
    (
        Remedy("the name and the place of the password: `mqtt.user`", "jarvis-ear config"),
        Remedy("read the log of the broker, which names the refused user"),
    ),
)

BROKER_REACHED: Final = Kind(
    "BrokerReached",
    "42b1d0620c6e4fb1ac1c3f65e2cce6b3",
    "The MQTT broker at @BROKER@ is reached",
    "The ear has published its state there.",
)

BROKER_COMMAND: Final = Kind(
    "BrokerCommand",
    "58110edf5390402d80cb77ec70fc3465",
    "A command of the MQTT broker was not carried out",
    "Reason: @REASON@\n\nA client of the broker sent something to a command topic of the ear that "
    "is invalid, not allowed or impossible now. Repetitions are logged at growing intervals; "
    "`mqtt_refused` in the status counts them.",
    (
        Remedy("what each topic takes: docs/mqtt.md"),
        Remedy("to allow more: `mqtt.may_unmute` and `mqtt.may_listen`"),
    ),
)

ROOMS_TROUBLE: Final = Kind(
    "RoomsTrouble",
    "b91ea7e2a8e5ca87d0efffd68f914118",
    "The ear cannot agree with the ears of other rooms",
    "Reason: @REASON@\n\nMeanwhile, several ears may answer one wake word; none stays "
    "silent because of it. A message that is refused has another key, or comes from another "
    "program, and has no effect. Repetitions are logged at growing intervals; `rooms_refused` and "
    "`rooms_unsent` in the status count them.",
    (
        Remedy("give all ears the same `rooms.key`"),
        Remedy("allow UDP port 4889 to 239.255.74.69 in the firewalls of the ears"),
        Remedy("the counters", "jarvis-ear status --json"),
    ),
)

HOME_ASSISTANT_AWAY: Final = Kind(
    "HomeAssistantAway",
    "b5dbd58ecfa34441b5ce0e9941ebc5d2",
    "Home Assistant is not connected to the satellite at @BACKEND@",
    "Reason: @REASON@\n\nThe ear waits for Home Assistant, which connects when the integration "
    "Wyoming Protocol is set up for this address, and again about 10 s after it was lost. "
    "Until then an utterance waits at most 30 s. Home Assistant does not connect to a satellite "
    "that is muted there.",
    (
        Remedy("which addresses may connect: `backend.wyoming.allow`", "jarvis-ear config"),
        Remedy("whether the service lets them in", "systemctl show jarvis-ear -p IPAddressAllow"),
        _LINK,
    ),
)

HOME_ASSISTANT_REACHED: Final = Kind(
    "HomeAssistantReached",
    "28387fc106ff403b9b1923b3344d3732",
    "Home Assistant uses the satellite at @BACKEND@",
    "It has connected and is ready. AWAY_MS in the record is the length of the outage; the first "
    "time there is none.",
    (_LINK,),
)

WYOMING_REFUSED: Final = Kind(
    "WyomingRefused",
    "562e5542daa74c61a7ec80932a5411ba",
    "A connection to the satellite was refused",
    "Reason: @REASON@\n\nThe machine is not allowed, another server already uses the satellite, or "
    "its program does not speak the Wyoming protocol. The connection was closed and had no effect. "
    "Repetitions are logged at growing intervals.",
    (Remedy("which addresses may connect: `backend.wyoming.allow`", "jarvis-ear config"),),
)

MESSAGE_REFUSED: Final = Kind(
    "MessageRefused",
    "e99a8cd9815e43289a824cb5ff5d86a9",
    "A message of the backend, or of the bus, is invalid and was dropped",
    "Reason: @REASON@\n\nIf it belonged to a reply, a part of the reply is missing. "
    "docs/protocols.md describes each message. Repetitions are logged at growing intervals; "
    "messages of unknown kinds are logged at DEBUG only.",
)

KINDS: Final = (
    *(BACKEND_UNREACHABLE, PASSWORD_REJECTED, BACKEND_FOREIGN, BACKEND_REACHED, PLAINTEXT),
    *(BUS_UNREACHABLE, BUS_REACHED, ROOMS_TROUBLE),
    *(BROKER_UNREACHABLE, BROKER_REJECTS, BROKER_REACHED, BROKER_COMMAND),
    *(HOME_ASSISTANT_AWAY, HOME_ASSISTANT_REACHED, WYOMING_REFUSED, MESSAGE_REFUSED),
)
