"""What is meant for the ear alone goes to no program that it starts."""

from jarvis_ear.process import inherited


def test_what_is_ours_alone_is_left_out():
    environ = {
        "PATH": "/bin",
        "ALSA_CONFIG_PATH": "/etc/asound.conf",
        "JARVIS_BACKEND_LOG__LEVEL": "debug",
        "NOTIFY_SOCKET": "/run/systemd/notify",
        "WATCHDOG_USEC": "10000000",
        "WATCHDOG_PID": "7",
        "JARVIS_PASSWORD": "secret",
        "CREDENTIALS_DIRECTORY": "/run/credentials",
        "JARVIS_EAR_BUS__KEY": "secret",
    }
    assert set(inherited(environ)) == {"PATH", "ALSA_CONFIG_PATH", "JARVIS_BACKEND_LOG__LEVEL"}
