"""Kinds of journal records about the microphone and the speaker."""

from typing import Final

from jarvis_ear.journal.kind import Kind, Remedy

_DEVICES: Final = Remedy("what microphones there are", "jarvis-ear devices")
_DEAF: Final = Remedy(
    "when it was deaf today",
    "journalctl -u jarvis-ear --since today EVENT=MicrophoneLost EVENT=MicrophoneFound "
    "EVENT=MicrophoneSilent EVENT=MicrophoneHeardAgain",
)

MICROPHONE_OPENED: Final = Kind(
    "MicrophoneOpened",
    "e00af6768aee47f59275612b4889f4d4",
    "The ear hears @SOURCE@",
    "The first sound came from it since the start of the program.",
)

MICROPHONE_LOST: Final = Kind(
    "MicrophoneLost",
    "0626ad922a2342f4ba9330c8907d2a6f",
    "The ear is deaf: no sound from @SOURCE@",
    "The system says: @REASON@\n\nThe microphone was unplugged, its driver stopped giving sound, "
    "the sound server went away, or none was there at the start. It is looked for until it is "
    "there again, which takes 5 s at most from its return; no restart is needed. A sentence "
    "that was cut off is sent as far as it was heard.",
    (
        _DEVICES,
        Remedy(
            "whether the service may use sound cards",
            "systemctl show jarvis-ear -p SupplementaryGroups -p DeviceAllow",
        ),
        _DEAF,
    ),
)

MICROPHONE_BUSY: Final = Kind(
    "MicrophoneLost",
    "8a5a4a49ba2647d89d3433538a0fa6cf",
    "The ear is deaf: another program uses @SOURCE@",
    "The system says: @REASON@\n\nOnly one program at a time can record from a sound card "
    "itself. The ear takes the microphone as soon as it is free.",
    (
        Remedy(
            "end the program that is named, or let both use a sound server: set "
            "`microphone.device` to `pipewire` or `pulse`"
        ),
        _DEVICES,
    ),
)

MICROPHONE_STILL_LOST: Final = Kind(
    "MicrophoneStillLost",
    "3d453d61b51b4cd8a2e290d94b548fda",
    "Still no sound from @SOURCE@ after @DEAF_MS@ ms",
    "The system says: @REASON@\n\nA reminder: every ten minutes, and sooner if there is another "
    "reason.",
    (_DEVICES, _DEAF),
)

MICROPHONE_FOUND: Final = Kind(
    "MicrophoneFound",
    "778e0c4fee0245d5b8667deef0297acb",
    "@SOURCE@ is back after @DEAF_MS@ ms",
    "The ear hears again. Nothing that was said in between was heard.",
    (_DEAF,),
)

MICROPHONE_SILENT: Final = Kind(
    "MicrophoneSilent",
    "638f4efdad434487aea7c375d4c40a3a",
    "The ear is deaf: there is no sound in what @SOURCE@ gives",
    "The device works, and for ten seconds all samples were the same, or for a minute only the "
    "last bit moved: a mute switch on the microphone, a cable, a volume of zero, or the wrong "
    "channel. No room is so quiet. The ear hears again with the first other sample.",
    (
        Remedy("look at switch and cable"),
        Remedy("the volume of the card", "alsamixer"),
        Remedy("try another channel: `microphone.channel`"),
        Remedy("choose another one: `microphone.device`", "jarvis-ear devices"),
    ),
)

MICROPHONE_HEARD_AGAIN: Final = Kind(
    "MicrophoneHeardAgain",
    "f6c02088f9554ba39d411a45c91573e7",
    "@SOURCE@ gives sound again after @DEAF_MS@ ms",
    "Whatever kept it silent is over.",
)

MICROPHONE_MONITOR: Final = Kind(
    "MicrophoneMonitor",
    "6c47499c9b444fd6b94c352cf7dfc7c4",
    "@SOURCE@ is the monitor of a loudspeaker, and no microphone",
    "A sound server offers what a loudspeaker plays as a source of sound, and makes it the default "
    "where there is no microphone. The ear hears its own replies there, and nobody in the room.",
    (
        Remedy("choose a microphone: `microphone.device`", "jarvis-ear devices"),
        Remedy("or make one the default of the sound server: pactl set-default-source NAME"),
    ),
)

SOUND_CLIPPED: Final = Kind(
    "SoundClipped",
    "b6b0083d9f304ba380269826fbfd4dac",
    "@SOURCE@ is too loud: @CLIPPED_PERCENT@ % of the last minute is clipped",
    "Samples stand at the end of their scale: what was louder is cut off. At 0.1 % of a minute it "
    "begins to cost words; the wake word is missed where three times as much of it is clipped. "
    "Told once an hour at most.",
    (
        Remedy("lower the gain of the microphone", "alsamixer"),
        Remedy("what is clipped now: `clipped`", "jarvis-ear status"),
    ),
)

SOUND_LOST: Final = Kind(
    "SoundLost",
    "87a880a6231e47c58476dee4c3df5b16",
    "@LOST_MS@ ms of sound from @SOURCE@ never arrived",
    "The card had to throw sound away because it was not fetched in time: the machine was busy, "
    "or slept. A word in that gap cannot be understood. Told once in ten minutes at most, "
    "with everything that was lost since.",
    (
        Remedy("what else keeps the machine busy", "systemd-cgtop -b -n 2"),
        Remedy("let the card keep more: raise `microphone.latency_ms`"),
    ),
)

SPEAKER_LOST: Final = Kind(
    "SpeakerLost",
    "a02e37ca601040dcab7e8f4788edf2b3",
    "A reply cannot be heard",
    "The system says: @REASON@\n\nThe speaker was unplugged, is used by another program, or has "
    "another name; or there was none at the start. Turns go on, without sound; each reply tries "
    "the speaker anew. HEARD in the record of a turn says how much of its reply was heard.",
    (
        Remedy("what speakers there are", "jarvis-ear devices"),
        Remedy("choose one: `speaker.device`"),
    ),
)

CHUNKS_MISSING: Final = Kind(
    "SentencesMissing",
    "058adb3d2bac7b7db16555509c01266e",
    "A part of the reply in turn @TURN_ID@ did not come: sentence @REPLY_MISSING@",
    "The backend said how many sentences the reply has, or a later one arrived, and this one did "
    "not within `backend.gap_s`. Its speech synthesis failed or is too slow. The rest of the reply "
    "is played.",
    (
        Remedy("look into the log of the backend at the same time"),
        Remedy("if the backend is slow, wait longer: raise `backend.gap_s`"),
    ),
)

UNASKED_SPEECH: Final = Kind(
    "UnaskedSpeech",
    "ac49ff18dc5ede65632c5346e9a2066e",
    "The backend sent speech that nobody asked for",
    "@REASON@\n\nIt came while no turn waited for a reply: it is late, the backend answers "
    "another ear under our `backend.agent_id`, or it announces something. It is not played.",
    (
        Remedy("look into the log of the backend at the same time"),
        Remedy("whether another ear has the same `backend.agent_id`"),
    ),
)

KINDS: Final = (
    *(MICROPHONE_OPENED, MICROPHONE_LOST, MICROPHONE_BUSY, MICROPHONE_STILL_LOST),
    MICROPHONE_FOUND,
    *(MICROPHONE_SILENT, MICROPHONE_HEARD_AGAIN, MICROPHONE_MONITOR),
    *(SOUND_CLIPPED, SOUND_LOST, SPEAKER_LOST),
    *(CHUNKS_MISSING, UNASKED_SPEECH),
)
