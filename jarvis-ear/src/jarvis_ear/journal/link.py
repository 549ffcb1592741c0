"""What can happen to the link to the backend."""

from typing import Final

from jarvis_ear.journal.kind import Kind, Remedy

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
