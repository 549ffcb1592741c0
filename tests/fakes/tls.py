"""TLS in front of a plain server, with certificates made by the openssl program."""

import socket
import ssl
import subprocess
import threading
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Self


@dataclass(frozen=True, slots=True)
class Certificate:
    cert: Path
    key: Path


class Authority:
    """A certificate authority in a folder of the test."""

    def __init__(self, folder: Path, name: str = "authority") -> None:
        self._folder = folder
        extensions = ("basicConstraints=critical,CA:TRUE", "keyUsage=critical,keyCertSign")
        self.certificate = self._make(name, *(w for each in extensions for w in ("-addext", each)))

    def vouch(self, name: str, host: str, *, days: int = 1) -> Certificate:
        """Sign a certificate for ``host``; one of -1 days has expired."""
        request = self._folder / f"{name}.csr"
        made = Certificate(self._folder / f"{name}.pem", self._folder / f"{name}.key")
        extensions = self._folder / f"{name}.ext"
        of_key = "subjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid\n"
        extensions.write_text(f"subjectAltName={host}\nbasicConstraints=CA:FALSE\n{of_key}")
        _openssl(
            *("req", "-newkey", "rsa:2048", "-nodes", "-subj", f"/CN={name}"),
            *("-keyout", str(made.key), "-out", str(request)),
        )
        _openssl(
            *("x509", "-req", "-in", str(request), "-days", str(days), "-set_serial", "7"),
            *("-CA", str(self.certificate.cert), "-CAkey", str(self.certificate.key)),
            *("-extfile", str(extensions), "-out", str(made.cert)),
        )
        return made

    def _make(self, name: str, *more: str) -> Certificate:
        made = Certificate(self._folder / f"{name}.pem", self._folder / f"{name}.key")
        _openssl(
            *("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1"),
            *("-subj", f"/CN={name}", "-keyout", str(made.key), "-out", str(made.cert), *more),
        )
        return made


class TlsFront:
    """Listens on a port of 127.0.0.1, and hands what it decrypts to another one."""

    def __init__(self, target: int, certificate: Certificate) -> None:
        self._target = target
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(certificate.cert, certificate.key)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self.shaken = 0
        """Connections whose handshake was completed: the client accepts the certificate."""

    def __enter__(self) -> Self:
        threading.Thread(target=self._serve, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _serve(self) -> None:
        with suppress(OSError):  # closed: the test is over
            while True:
                peer, _ = self._listener.accept()
                threading.Thread(target=self._handle, args=(peer,), daemon=True).start()

    def _handle(self, peer: socket.socket) -> None:
        with suppress(OSError), peer:
            inside = self._context.wrap_socket(peer, server_side=True)
            inside.recv(0)
            self.shaken += 1
            with inside, socket.create_connection(("127.0.0.1", self._target)) as outside:
                back = threading.Thread(target=_pump, args=(outside, inside), daemon=True)
                back.start()
                _pump(inside, outside)
                back.join(5)


def _pump(source: socket.socket, sink: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65_536):
            sink.sendall(data)
        sink.shutdown(socket.SHUT_RDWR)


def _openssl(*arguments: str) -> None:
    subprocess.run(["openssl", *arguments], check=True, capture_output=True)
