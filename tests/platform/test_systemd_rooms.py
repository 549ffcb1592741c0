"""In the confinement of the unit, two ears of one machine hear each other's datagrams."""

import shutil
from pathlib import Path

import pytest

from fakes import systemd_box
from fakes.installed_ear import PACKAGES, SHOWN
from fakes.systemd_box import SystemdBox

pytestmark = pytest.mark.long

ROOT = Path(__file__).parents[2]
SOURCE = "/opt/jarvis-test/src"
PROGRAM = """\
import asyncio
from jarvis_ear.rooms.multicast import Multicast

async def main():
    came = asyncio.Queue()
    ears = [Multicast(lambda datagram, sender: came.put_nowait(datagram)) for _ in range(2)]
    for ear in ears:
        ear.open()
    assert ears[0].send(b"a claim")
    for _ in ears:
        print(await asyncio.wait_for(came.get(), 10))

asyncio.run(main())
"""
CONFINES = (
    *("RestrictAddressFamilies", "IPAddress", "SocketBind", "SystemCall"),
    *("NoNewPrivileges", "CapabilityBoundingSet", "ProtectSystem", "ProtectKernel", "PrivateUsers"),
)


def test_ears_hear_each_other_in_the_confinement_of_the_unit(tmp_path):
    missing = systemd_box.missing() or (None if shutil.which("ip") else "ip is not installed")
    if missing is not None:
        pytest.skip(missing)
    unit = (ROOT / "systemd" / "jarvis-ear.service").read_text().splitlines()
    confined = [line for line in unit if line.startswith(CONFINES)]
    assert len(confined) > len(CONFINES)
    with SystemdBox(tmp_path / "box", SHOWN, own_network=True) as box:
        box.run("ip", "address", "add", "192.168.7.1/24", "dev", "lo")  # as at home
        shutil.copytree(ROOT / "jarvis-ear" / "src", box.at(SOURCE))
        box.at(f"{SOURCE}/ears.py").write_text(PROGRAM)
        service = [
            *("[Service]", "Type=oneshot", f"Environment=PYTHONPATH={SOURCE}:{PACKAGES}"),
            *(f"ExecStart=/usr/bin/python3 {SOURCE}/ears.py", "StandardOutput=file:/run/ears"),
            *("StandardError=file:/run/errors", *confined),
        ]
        box.at("/etc/systemd/system/ears.service").write_text("\n".join(service))
        box.run("systemctl", "daemon-reload")
        box.run("systemctl", "start", "ears", check=False)
        assert box.at("/run/errors").read_text() == ""
        assert box.at("/run/ears").read_text().splitlines() == ["b'a claim'"] * 2
