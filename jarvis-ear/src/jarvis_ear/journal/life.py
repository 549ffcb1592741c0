"""Kinds of journal records about the program as a whole."""

from typing import Final

from jarvis_ear.journal.kind import Kind, Remedy

_FREE_SPACE: Final = Remedy("free space", "df -h /run /var/lib")
_OTHER_FOLDERS: Final = Remedy("use other folders: `spool.dir` and `spool.ledger_dir`")

STARTED: Final = Kind(
    "Started",
    "e9eff41f7a164bf59f008f8ff14dd8e0",
    "jarvis-ear @VERSION@ starts",
    "It looks for the microphone and for the backend; each has its own records.",
)

STOPPED: Final = Kind(
    "Stopped",
    "35709658b99b4ca3b814826fd3e42cc1",
    "jarvis-ear stops",
    "The stop was requested, or the sound file is over. An utterance that was not sent waits for "
    "the next start.",
)

CRASHED: Final = Kind(
    "Crashed",
    "a6cad2bf0884430e91ee917ef8bb58b9",
    "jarvis-ear ends because of a bug",
    "Reason: @REASON@\n\nThe field EXCEPTION_TEXT of the record holds the traceback. The service "
    "restarts it after two seconds.",
    (
        Remedy(
            "what to attach to a bug report",
            "journalctl -u jarvis-ear -n 50 -o json EVENT=Crashed",
        ),
    ),
)

FAILED: Final = Kind(
    "GaveUp",
    "884385d3b531499484cd5449fa3f4efc",
    "jarvis-ear ends with status @EXIT_STATUS@",
    "Reason: @REASON@\n\nThe service restarts it after two seconds.",
    (Remedy("the records before", "journalctl -u jarvis-ear -n 50"),),
)

HUNG: Final = Kind(
    "Hung",
    "0d3f628053e34796a7951badb4884e15",
    "The sound system hangs: jarvis-ear restarts",
    "Reason: @REASON@\n\nA call into a driver or a sound server did not return, and this process "
    "cannot interrupt it. The service starts a new one after two seconds.",
    (
        Remedy("how often that happens", "journalctl -u jarvis-ear EVENT=Hung"),
        Remedy("what the kernel reports about the card", "journalctl -k --since -10min"),
    ),
)

CONFIG_REFUSED: Final = Kind(
    "ConfigRefused",
    "b512b67cd8a0455492347fc6aa1fa659",
    "The configuration is invalid: jarvis-ear does not start",
    "Reason: @REASON@\n\nThere is one record for each mistake. The service is not restarted, "
    "because a restart does not correct it.",
    (
        Remedy("every option in force, and its source", "jarvis-ear config"),
        Remedy("once it is corrected", "systemctl start jarvis-ear"),
    ),
)

SECOND_EAR: Final = Kind(
    "SecondEar",
    "235bed6543cf4a3aadc0ed2019722be5",
    "Another jarvis-ear is running",
    "Reason: @REASON@\n\nTwo ears with the same folder would take each other's utterances.",
    (
        Remedy("the other process", "pgrep -a -f jarvis-ear"),
        Remedy("to run both, give each its own folder: `spool.dir`"),
    ),
)

MUTED: Final = Kind(
    "Muted",
    "985e2a580049499d8c58347f300ac00b",
    "Muted by the @MUTED_BY@",
    "The microphone is closed: no program hears through the ear. It was muted by the owner "
    "(jarvis-ear mute), by the clock in the hours of `microphone.mute_between`, or by a member of "
    "the bus of `bus.url` that switched the module `audio` off. Neither a restart nor a new "
    "microphone ends it. A mute by the clock, or for a given time, ends at MUTED_UNTIL.",
    (Remedy("to unmute", "jarvis-ear unmute"),),
)

UNMUTED: Final = Kind(
    "Unmuted",
    "7c2d061df3434f1098c4b38fe2adbb02",
    "Unmuted",
    "The microphone is opened again.",
)

MUTE_UNSURE: Final = Kind(
    "MuteUnsure",
    "2d6d0c3aa73648ecb0d62801841917a0",
    "The mute cannot be stored",
    "Reason: @REASON@\n\nThe file is @PLACE@. If it cannot be read, the ear stays muted, because a "
    "mute must be reliable; if it cannot be written, the mute does not survive a restart.",
    (
        Remedy("the folder, its owner and its free space", "df -h /var/lib/jarvis-ear"),
        Remedy("to unmute", "jarvis-ear unmute"),
    ),
)

SPOOL_TROUBLE: Final = Kind(
    "SpoolTrouble",
    "677b5f29fbfc44db971f4eaf8fa8bd03",
    "The files in @PLACE@ cannot be used",
    "Reason: @REASON@\n\nThe folder holds the utterances that wait for the backend, and the ledger "
    "of their outcomes. The ear runs without it, but a waiting utterance does not survive the end "
    "of the program.",
    (_FREE_SPACE, _OTHER_FOLDERS),
)

SPOOL_UNMARKED: Final = Kind(
    "SpoolUnmarked",
    "02c1348ef0e7474d8c3dba2161fc8781",
    "Turn @TURN_ID@ was not sent, because @PLACE@ cannot be written",
    "Before an utterance is sent, its file is marked as sent, so that a later start does not send "
    "it again. The file could be neither moved nor removed, and the ledger could not be written; "
    "the disk may have become read-only. The command was not run (cause storage_failed).",
    (
        Remedy("whether the service may write there", "ls -ld /run/jarvis-ear /var/lib/jarvis-ear"),
        _FREE_SPACE,
        _OTHER_FOLDERS,
        Remedy("keep utterances in memory only: `spool.enabled = false`"),
    ),
)

CONTROL_TROUBLE: Final = Kind(
    "ControlTrouble",
    "e73f157db6e0464991546b3fb1b0c211",
    "jarvis-ear status, mute and unmute cannot reach this ear",
    "Reason: @REASON@\n\nThe socket in the runtime folder could not be created. The ear hears "
    "nevertheless.",
    (Remedy("the folder and its owner", "ls -ld /run/jarvis-ear"),),
)

RELOADED: Final = Kind(
    "Reloaded",
    "8da6f2200ba940b998447fc589ed189f",
    "The configuration was reloaded",
    "Now in force: @CHANGED@.\n\nThe reload was requested (systemctl reload, or SIGHUP). A reload "
    "during a turn takes effect when the turn is over.",
    (Remedy("every option in the file, and its source", "jarvis-ear config"),),
)

RELOAD_REFUSED: Final = Kind(
    "ReloadRefused",
    "e66399f27cbe4145856c7e3c52369ba3",
    "The new configuration is invalid: the old one stays in force",
    "Reason: @REASON@\n\nNo part of the new configuration is used, and the ear hears as before. A "
    "restart fails until it is corrected.",
    (
        Remedy("every mistake and its place", "jarvis-ear check"),
        Remedy("once it is corrected", "systemctl reload jarvis-ear"),
    ),
)

RESTART_NEEDED: Final = Kind(
    "RestartNeeded",
    "d875de73f12c4147b1579c87c0a98158",
    "Changed, but in force only after a restart: @CHANGED@",
    "The configuration was reloaded. These options are read only at the start; until the next one, "
    "their old values stay in force.",
    (Remedy("when the ear is not in use", "systemctl restart jarvis-ear"),),
)

HOOK_FAILED: Final = Kind(
    "HookFailed",
    "75fa336134b54f6a8003bbf393c25166",
    "The hook hooks.@HOOK@ does not work",
    "Reason: @REASON@\n\nA program or a URL of the options `hooks`, told what the ear does, "
    "failed. The ear hears as before, but an LED may be in the wrong state. A service may run "
    "programs below /usr and /opt/jarvis-ear, and reach this machine and private networks.",
    (
        Remedy("whether the programs are there", "jarvis-ear check"),
        Remedy('the last line that the program wrote: `log.level = "debug"`'),
        Remedy("what a hook may do: docs/operations.md"),
    ),
)

METRICS_TROUBLE: Final = Kind(
    "MetricsTrouble",
    "49b659bdb9d54c63a2c59ad8e2c3dd19",
    "The metrics are not served on @PLACE@",
    "Reason: @REASON@\n\nThe ear cannot listen on the address of `metrics.host` and "
    "`metrics.port`. It hears as before, and `jarvis-ear metrics` works. The service may listen on "
    "port 4890 only.",
    (
        Remedy("the address that is configured", "jarvis-ear config"),
        Remedy("after another port was chosen: `metrics.port`", "systemctl reload jarvis-ear"),
    ),
)

WAKE_LEDGER: Final = Kind(
    "WakeLedger",
    "f98cddb42a5d74bb69d5811db28a5898",
    "The wake ledger stores sound in @PLACE@",
    "The sound of wake words and near misses is stored, from 3 s before each to 1 s after it, "
    "readable by the ear's user only: `hearing.wake_ledger.enabled` is set. Told at each start.",
    (
        Remedy("list the clips", "jarvis-ear events list"),
        Remedy("remove them", "jarvis-ear events purge"),
        Remedy("to store none: `hearing.wake_ledger.enabled = false`"),
    ),
)

WAKE_LEDGER_TROUBLE: Final = Kind(
    "WakeLedgerTrouble",
    "e1b2e4c96ffeeba046e6e77cb42190ae",
    "The wake ledger in @PLACE@ cannot be written",
    "Reason: @REASON@\n\nClips of wake words and near misses are lost; the ear itself continues. "
    "Logged at most once an hour.",
    (
        Remedy("free space", "df -h /var/lib"),
        Remedy("lower `hearing.wake_ledger.max_mb`, or remove all", "jarvis-ear events purge"),
    ),
)

KINDS: Final = (
    *(STARTED, STOPPED, CRASHED, FAILED, HUNG, CONFIG_REFUSED, SECOND_EAR, MUTED, UNMUTED),
    *(MUTE_UNSURE, SPOOL_TROUBLE, SPOOL_UNMARKED, CONTROL_TROUBLE, RELOADED, RELOAD_REFUSED),
    *(RESTART_NEEDED, HOOK_FAILED, METRICS_TROUBLE, WAKE_LEDGER, WAKE_LEDGER_TROUBLE),
)
