"""A certificate for the emulator, made at start, so that it can speak TLS."""

from __future__ import annotations

import ssl
from pathlib import Path

from oumi_fireworks.emulator.state.private_files import private

_NAMES = ("localhost", "127.0.0.1", "::1")


def make_certificate(folder: Path, host: str) -> tuple[ssl.SSLContext, Path]:
    """Make an authority and a certificate that it has signed.

    Args:
        folder: Where the authority's own certificate is put, beside those that this machine
            trusts: a client that trusts the file can still reach other servers.
        host: The address that the emulator listens on.

    Returns:
        The context for the server's side, and the file for the clients' side.

    Raises:
        ValueError: If trustme is not installed.
    """
    try:
        import trustme
    except ModuleNotFoundError as error:
        raise ValueError(
            "TLS needs the package trustme: pip install 'oumi-fireworks[tls]'"
        ) from error
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(*dict.fromkeys((*_NAMES, host))).configure_cert(context)
    trusted = folder / "ca.pem"
    usual = ssl.get_default_verify_paths().cafile
    with open(trusted, "wb", opener=private) as file:
        file.write(authority.cert_pem.bytes())
        if usual is not None:
            file.write(Path(usual).read_bytes())
    return context, trusted
