"""Kinds of journal records about the microphone, the speaker and the sound of replies."""

from typing import Final

from jarvis_ear.journal.kind import Kind, Remedy

_DEVICES: Final = Remedy("list the microphones", "jarvis-ear devices")
_OUTAGES: Final = Remedy(
    "when the ear was deaf today",
    "journalctl -u jarvis-ear --since today EVENT=MicrophoneLost EVENT=MicrophoneFound "
    "EVENT=MicrophoneSilent EVENT=MicrophoneHeardAgain",
)
_BACKEND_LOG: Final = Remedy("read the log of the backend at the same time")

MICROPHONE_OPENED: Final = Kind(
    "MicrophoneOpened",
    "e00af6768aee47f59275612b4889f4d4",
    "The ear hears @SOURCE@",
    "The first sound since the start of the program arrived.",
)

MICROPHONE_LOST: Final = Kind(
    "MicrophoneLost",
    "0626ad922a2342f4ba9330c8907d2a6f",
    "The ear is deaf: no sound from @SOURCE@",
    "Reason: @REASON@\n\nThe microphone was unplugged, its driver stopped delivering sound, the "
    "sound server ended, or there was no microphone at the start. The ear looks for it and finds "
    "it at most 5 s after its return, without a restart. An utterance that was cut off is sent as "
    "far as it was heard.",
    (
        _DEVICES,
        Remedy(
            "whether the service may use sound cards",
            "systemctl show jarvis-ear -p SupplementaryGroups -p DeviceAllow",
        ),
        _OUTAGES,
    ),
)

MICROPHONE_BUSY: Final = Kind(
    "MicrophoneLost",
    "8a5a4a49ba2647d89d3433538a0fa6cf",
    "The ear is deaf: another program uses @SOURCE@",
    "Reason: @REASON@\n\nOnly one program at a time can record directly from a sound card. The ear "
    "takes the microphone as soon as it is free.",
    (
        Remedy(
            "end the program, or let both use a sound server: set `microphone.device` to "
            "`pipewire` or `pulse`"
        ),
        _DEVICES,
    ),
)

MICROPHONE_STILL_LOST: Final = Kind(
    "MicrophoneStillLost",
    "3d453d61b51b4cd8a2e290d94b548fda",
    "Still no sound from @SOURCE@ after @DEAF_MS@ ms",
    "Reason: @REASON@\n\nA reminder every ten minutes, or earlier if the reason changes.",
    (_DEVICES, _OUTAGES),
)

MICROPHONE_FOUND: Final = Kind(
    "MicrophoneFound",
    "778e0c4fee0245d5b8667deef0297acb",
    "@SOURCE@ is back after @DEAF_MS@ ms",
    "The ear hears again. Nothing was heard in between.",
    (_OUTAGES,),
)

MICROPHONE_SILENT: Final = Kind(
    "MicrophoneSilent",
    "638f4efdad434487aea7c375d4c40a3a",
    "The ear is deaf: @SOURCE@ delivers no sound",
    "The device works, but all samples were equal for ten seconds, or only the last bit changed "
    "for a minute; no room is that quiet. Causes: a mute switch on the microphone, a cable, a "
    "volume of zero, or the wrong channel. The ear hears again with the first different sample.",
    (
        Remedy("check the mute switch and the cable"),
        Remedy("the volume of the card", "alsamixer"),
        Remedy("try another channel: `microphone.channel`"),
        Remedy("choose another microphone: `microphone.device`", "jarvis-ear devices"),
    ),
)

MICROPHONE_HEARD_AGAIN: Final = Kind(
    "MicrophoneHeardAgain",
    "f6c02088f9554ba39d411a45c91573e7",
    "@SOURCE@ delivers sound again after @DEAF_MS@ ms",
    "The cause of the silence is gone.",
)

MICROPHONE_MONITOR: Final = Kind(
    "MicrophoneMonitor",
    "6c47499c9b444fd6b94c352cf7dfc7c4",
    "@SOURCE@ is the monitor of a loudspeaker, not a microphone",
    "A sound server offers the output of a loudspeaker as a source of sound, and makes it the "
    "default if there is no microphone. The ear hears its own replies there, but not the room.",
    (
        Remedy("choose a microphone: `microphone.device`", "jarvis-ear devices"),
        Remedy("or make one the default of the sound server: pactl set-default-source NAME"),
    ),
)

SOUND_CLIPPED: Final = Kind(
    "SoundClipped",
    "b6b0083d9f304ba380269826fbfd4dac",
    "@SOURCE@ is too loud: @CLIPPED_PERCENT@ % of the last minute is clipped",
    "Samples are at the limit of their range, so louder sound is cut off. From 0.1 % of a minute "
    "on, words are lost; from 0.3 % on, the wake word is missed. Logged at most once an hour.",
    (
        Remedy("lower the gain of the microphone", "alsamixer"),
        Remedy("the current share: `clipped`", "jarvis-ear status"),
    ),
)

SOUND_LOST: Final = Kind(
    "SoundLost",
    "87a880a6231e47c58476dee4c3df5b16",
    "@LOST_MS@ ms of sound from @SOURCE@ never arrived",
    "The card discarded sound because it was not read in time: the machine was busy, or suspended. "
    "A word in that gap cannot be recognised. Logged at most once in ten minutes, with all sound "
    "lost since the last time.",
    (
        Remedy("what keeps the machine busy", "systemd-cgtop -b -n 2"),
        Remedy("let the card buffer more: raise `microphone.latency_ms`"),
    ),
)

SPEAKER_LOST: Final = Kind(
    "SpeakerLost",
    "a02e37ca601040dcab7e8f4788edf2b3",
    "A reply cannot be heard",
    "Reason: @REASON@\n\nThe speaker was unplugged, is used by another program, or has another "
    "name; or there was none at the start. Turns continue without sound, and each reply tries the "
    "speaker again. HEARD in the record of a turn says how much of its reply was heard.",
    (
        Remedy("list the speakers", "jarvis-ear devices"),
        Remedy("choose one: `speaker.device`"),
    ),
)

VOLUME_SET: Final = Kind(
    "VolumeSet",
    "5b6cb00f3ff94d00acb2ae1ab9185785",
    "The @SET_BY@ set the volume of replies to @VOLUME_PERCENT@ %",
    "The owner typed `jarvis-ear volume`, a client of the MQTT broker set it, or the backend did "
    "because a person asked for it. It counts until the next change, restarts included.",
    (
        Remedy("to set it", "jarvis-ear volume 60"),
        Remedy("to forbid it to the backend: `backend.may_set_volume = false`"),
        Remedy("every change of today", "journalctl -u jarvis-ear --since today EVENT=VolumeSet"),
    ),
)

VOLUME_REFUSED: Final = Kind(
    "VolumeRefused",
    "29fe68f62b144a9c9a7542fc738ce683",
    "A request of the backend to change the volume was refused",
    'Reason: @REASON@\n\nThe end of a reply asked for another volume, as after "louder". The '
    "reply itself was played, and the volume stays. Repetitions are logged at growing intervals.",
    (
        Remedy("what a backend may send: docs/protocols.md"),
        Remedy("to allow it: `backend.may_set_volume = true`"),
        Remedy("to set it yourself", "jarvis-ear volume 60"),
    ),
)

CHUNKS_MISSING: Final = Kind(
    "SentencesMissing",
    "058adb3d2bac7b7db16555509c01266e",
    "Part of the reply in turn @TURN_ID@ is missing: chunk @REPLY_MISSING@",
    "The backend announced the chunk, or sent a later one, but the chunk itself did not come "
    "within `backend.gap_s`: speech synthesis failed or is too slow. The rest of the reply is "
    "played.",
    (
        _BACKEND_LOG,
        Remedy("if the backend is slow, wait longer: raise `backend.gap_s`"),
    ),
)

SELF_ECHO: Final = Kind(
    "SelfEcho",
    "65dec2721a2ceaf43553ae771428ef89",
    "The ear ignored its own wake word",
    "What the loudspeaker played contains the wake word, and the microphone picked it up. The ear "
    "knows what it plays, and does not react. SELF_ECHOES in the record of the turn counts it. A "
    "person is ignored because of this only at the very moment of the word in the reply.",
)

_LOWER_THRESHOLD: Final = Remedy(
    "if the score is close to the threshold, set `hearing.wake.strictness` to eager; false alarms "
    "increase"
)
_RAISE_GAIN: Final = Remedy(
    "if the level is below -50 dBFS, raise the gain of the microphone", "alsamixer"
)
_LOWER_GAIN: Final = Remedy("if the word is clipped, lower the gain")
_NEARER: Final = Remedy(
    "if the level is less than 20 dB above the noise floor, speak nearer to the microphone, or "
    "move it away from sources of noise"
)
_MISSED: Final = (_LOWER_THRESHOLD, _RAISE_GAIN, _LOWER_GAIN, _NEARER)

NEAR_MISS: Final = Kind(
    "NearMiss",
    "a09342809a3d0c7bb880b55dde530f8a",
    "Nearly the wake word: score @WAKE_SCORE@",
    "Probably: @REASON@\n\nThe wake model scored a stretch of sound 0.2 or more, but the ear did "
    "not wake: a person said the wake word and it was missed, or said something similar. LEVEL, "
    "NOISE_FLOOR and CLIPPED_PERCENT in the record say how the microphone heard it.",
    _MISSED,
)

NEAR_MISSES: Final = Kind(
    "NearMisses",
    "77bb9ad2218460d9f62baf4703dd74d2",
    "@NEAR_MISSES@ near misses of the wake word in an hour",
    "Probably: @REASON@\n\nLogged an hour after the first of them. The fields are those of the one "
    "with the best score, @WAKE_SCORE@. A few are normal with a television. If the ear does not "
    "wake when people say the wake word, the remedies help. With `log.level` = debug, each has "
    "a record.",
    (*_MISSED, Remedy("the near misses of the last hour", "jarvis-ear status")),
)

SHADOW_DIFFERED: Final = Kind(
    "ShadowDiffered",
    "c95dd3027ac6f88281fe057d1d2618ad",
    "The shadow threshold @REASON@ (score @WAKE_SCORE@)",
    "The threshold in `hearing.wake.shadow_threshold` differs from the one in force: it "
    "would have woken where the ear did not, or the reverse. If it woke only where people said the "
    "wake word, or stayed asleep only where no one did, it is the better one.",
    (
        Remedy(
            "what it would have done today",
            "journalctl -u jarvis-ear --since today EVENT=ShadowDiffered",
        ),
        Remedy("hear the sound: `hearing.wake_ledger.enabled`, then", "jarvis-ear events list"),
        Remedy("sweep over all thresholds", "jarvis-ear replay --events --sweep"),
    ),
)

SPEECH_REFUSED: Final = Kind(
    "SpeechRefused",
    "b92432215420c92dfa0b7fa77232a008",
    "Speech after the wake word was refused: @CAUSE@",
    "The wake word was detected, but what followed does not seem to be speech of the same person, "
    "and was not sent. It is @BELOW_WAKE_WORD_DB@ dB quieter than the wake word. CAUSE too_quiet: "
    "that is too much; talk: the television or other people talked before the wake word, and it is "
    "no louder than they are; noise: it is hardly speech. The ear continues to listen, and plays "
    "the sound nothing_heard if no more speech follows. REFUSED in the record counts it.",
    (
        Remedy("if it was a command, say it as loudly as the wake word, and nearer"),
        Remedy("if soft speech is refused, raise `hearing.endpointing.below_wake_word_db`"),
        Remedy(
            "how often it happened today",
            "journalctl -u jarvis-ear --since today EVENT=SpeechRefused",
        ),
    ),
)

UNASKED_SPEECH: Final = Kind(
    "UnaskedSpeech",
    "ac49ff18dc5ede65632c5346e9a2066e",
    "The backend sent unrequested speech",
    "@REASON@\n\nIt came while no turn awaited a reply, and is not an announcement: it is late, "
    "it has no beginning or no end, it may answer a lost turn or another ear with the same "
    "`backend.agent_id`, or `speaker.announcements` is off. It is not played.",
    (
        _BACKEND_LOG,
        Remedy("check whether another ear has the same `backend.agent_id`"),
    ),
)

KINDS: Final = (
    *(MICROPHONE_OPENED, MICROPHONE_LOST, MICROPHONE_BUSY, MICROPHONE_STILL_LOST),
    MICROPHONE_FOUND,
    *(MICROPHONE_SILENT, MICROPHONE_HEARD_AGAIN, MICROPHONE_MONITOR),
    *(SOUND_CLIPPED, SOUND_LOST, SPEAKER_LOST, VOLUME_SET, VOLUME_REFUSED),
    *(
        SELF_ECHO,
        NEAR_MISS,
        NEAR_MISSES,
        SHADOW_DIFFERED,
        SPEECH_REFUSED,
        CHUNKS_MISSING,
        UNASKED_SPEECH,
    ),
)
