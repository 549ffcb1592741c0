"""Kinds of journal records about the program as a whole."""

from typing import Final

from jarvis_ear.journal.kind import Kind, Remedy

STARTED: Final = Kind(
    "Started",
    "e9eff41f7a164bf59f008f8ff14dd8e0",
    "jarvis-ear @VERSION@ starts",
    "It looks for its microphone and for the backend; what becomes of either is told in records of "
    "their own.",
)

STOPPED: Final = Kind(
    "Stopped",
    "35709658b99b4ca3b814826fd3e42cc1",
    "jarvis-ear stops",
    "Somebody asked for it, or the sound file that it heard is over. A sentence that was not sent "
    "yet waits for the next start.",
)

CRASHED: Final = Kind(
    "Crashed",
    "a6cad2bf0884430e91ee917ef8bb58b9",
    "jarvis-ear ends because of a mistake in its own code",
    "It says: @REASON@\n\nThe traceback is the field EXCEPTION_TEXT of the record. The "
    "service starts it again after two seconds.",
    (
        Remedy(
            "what to send along with a report",
            "journalctl -u jarvis-ear -n 50 -o json EVENT=Crashed",
        ),
    ),
)

FAILED: Final = Kind(
    "GaveUp",
    "884385d3b531499484cd5449fa3f4efc",
    "jarvis-ear ends with status @EXIT_STATUS@",
    "It says: @REASON@\n\nThe service starts it again after two seconds.",
    (Remedy("what went before", "journalctl -u jarvis-ear -n 50"),),
)

HUNG: Final = Kind(
    "Hung",
    "0d3f628053e34796a7951badb4884e15",
    "The sound system hangs: jarvis-ear starts anew",
    "It says: @REASON@\n\nA driver or a sound server did not come back from a call, and "
    "nothing in this process can wake it. The service starts a new one after two seconds.",
    (
        Remedy("how often that happens", "journalctl -u jarvis-ear EVENT=Hung"),
        Remedy("what the kernel says of the card", "journalctl -k --since -10min"),
    ),
)

CONFIG_REFUSED: Final = Kind(
    "ConfigRefused",
    "b512b67cd8a0455492347fc6aa1fa659",
    "The configuration has a mistake: jarvis-ear does not start",
    "It says: @REASON@\n\nOne record for each mistake. The service is not started again by "
    "itself, because that would not mend it.",
    (
        Remedy("every option that is in force, and its source", "jarvis-ear config"),
        Remedy("once it is mended", "systemctl start jarvis-ear"),
    ),
)

SECOND_EAR: Final = Kind(
    "SecondEar",
    "235bed6543cf4a3aadc0ed2019722be5",
    "Another jarvis-ear runs already",
    "It says: @REASON@\n\nTwo ears with the same folder would take each other's sentences.",
    (
        Remedy("who it is", "pgrep -a -f jarvis-ear"),
        Remedy("if both are wanted, give one a folder of its own: `spool.dir`"),
    ),
)

MUTED: Final = Kind(
    "Muted",
    "985e2a580049499d8c58347f300ac00b",
    "Muted by the @MUTED_BY@",
    "The microphone is closed: no program hears through the ear. The owner muted it "
    "(jarvis-ear mute), or the clock did in the hours of `microphone.mute_between`, or "
    "somebody on the bus of `bus.url` switched the module `audio` off. No restart and no new "
    "microphone ends it.",
    (Remedy("to be heard again", "jarvis-ear unmute"),),
)

UNMUTED: Final = Kind(
    "Unmuted",
    "7c2d061df3434f1098c4b38fe2adbb02",
    "Not muted any more",
    "The microphone is opened again.",
)

MUTE_UNSURE: Final = Kind(
    "MuteUnsure",
    "2d6d0c3aa73648ecb0d62801841917a0",
    "Who muted the ear cannot be kept on file",
    "It says: @REASON@\n\nThe file is @PLACE@. Where it cannot be read, the ear stays "
    "muted, because whoever muted it relies on that; where it cannot be written, a restart "
    "does not know.",
    (
        Remedy("the folder, its owner and its room", "df -h /var/lib/jarvis-ear"),
        Remedy("to be heard again", "jarvis-ear unmute"),
    ),
)

SPOOL_TROUBLE: Final = Kind(
    "SpoolTrouble",
    "677b5f29fbfc44db971f4eaf8fa8bd03",
    "The files in @PLACE@ cannot be used as they should",
    "It says: @REASON@\n\nSentences that wait for the backend, and the ledger of what "
    "became of them, are kept there. The ear goes on without, and a sentence that waits "
    "does not survive its end.",
    (
        Remedy("is there room", "df -h /run /var/lib"),
        Remedy("other folders: `spool.dir` and `spool.ledger_dir`"),
    ),
)

SPOOL_UNMARKED: Final = Kind(
    "SpoolUnmarked",
    "02c1348ef0e7474d8c3dba2161fc8781",
    "Turn @TURN_ID@ was not sent, because nothing can be written in @PLACE@",
    "Before a sentence is sent, it is marked on file as sent, so that a later start does not send "
    "it again. Its file could be neither moved nor removed, and the ledger could not be written. "
    "The disk may have become read-only. The sentence was not run (cause storage_failed).",
    (
        Remedy("may the service write there", "ls -ld /run/jarvis-ear /var/lib/jarvis-ear"),
        Remedy("is there room", "df -h /run /var/lib"),
        Remedy("other folders: `spool.dir` and `spool.ledger_dir`"),
        Remedy("keep sentences in memory only: `spool.enabled = false`"),
    ),
)

CONTROL_TROUBLE: Final = Kind(
    "ControlTrouble",
    "e73f157db6e0464991546b3fb1b0c211",
    "jarvis-ear status, mute and unmute cannot reach this ear",
    "It says: @REASON@\n\nThe socket in the runtime folder could not be made. The ear hears "
    "all the same.",
    (Remedy("the folder and its owner", "ls -ld /run/jarvis-ear"),),
)

RELOADED: Final = Kind(
    "Reloaded",
    "8da6f2200ba940b998447fc589ed189f",
    "The configuration was read again",
    "Now in force: @CHANGED@.\n\nSomebody asked for it (systemctl reload, or SIGHUP). A reload "
    "that comes in the middle of a turn waits for its end.",
    (Remedy("every option in the file, and its source", "jarvis-ear config"),),
)

RELOAD_REFUSED: Final = Kind(
    "ReloadRefused",
    "e66399f27cbe4145856c7e3c52369ba3",
    "The new configuration has a mistake: the old one stays in force",
    "It says: @REASON@\n\nNothing of the new configuration is used, and the ear hears as before. "
    "A restart does not succeed until it is mended.",
    (
        Remedy("every mistake, and where it stands", "jarvis-ear check"),
        Remedy("once it is mended", "systemctl reload jarvis-ear"),
    ),
)

RESTART_NEEDED: Final = Kind(
    "RestartNeeded",
    "d875de73f12c4147b1579c87c0a98158",
    "Changed, and in force only after a restart: @CHANGED@",
    "The configuration was read again. These options are used once, at the start; until the "
    "next one, what they were then stays in force.",
    (Remedy("as soon as nobody speaks with it", "systemctl restart jarvis-ear"),),
)

KINDS: Final = (
    *(STARTED, STOPPED, CRASHED, FAILED, HUNG, CONFIG_REFUSED, SECOND_EAR, MUTED, UNMUTED),
    *(MUTE_UNSURE, SPOOL_TROUBLE, SPOOL_UNMARKED, CONTROL_TROUBLE, RELOADED, RELOAD_REFUSED),
    RESTART_NEEDED,
)
