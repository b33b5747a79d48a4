"""Makes certificates for tests with openssl."""

import shutil
import ssl
import subprocess
from pathlib import Path

import pytest

CURVE = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1"
REQUEST = "openssl req -x509 {curve} -nodes -days 2 -subj /CN={name} -keyout {key} -out {certificate}"


def make_certificate(folder: Path, name: str = "localhost") -> tuple[Path, Path]:
    """The files of a new certificate for this name, and of its key; the test is skipped without openssl."""
    if not shutil.which("openssl"):
        pytest.skip("needs openssl")
    files = folder / f"{name}.pem", folder / f"{name}.key"
    command = REQUEST.format(curve=CURVE, name=name, certificate=files[0], key=files[1])
    subprocess.run(command.split(), check=True, capture_output=True)
    return files


def any_certificate() -> ssl.SSLContext:
    """The context of a client that accepts every certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context
