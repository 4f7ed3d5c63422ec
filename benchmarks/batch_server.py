"""The server of the batch benchmark: the emulator, in a process of its own.

Prints one line of JSON, the environment variables that lead to it, and serves until its standard
input is closed.
"""

from __future__ import annotations

import json
import sys

from oumi_fireworks.emulator import Emulator

# Oumi's own engine knows only the direct upload, of which Fireworks takes 150 MB. So that it can be
# compared at larger sizes, this server takes more.
_DIRECT_UPLOAD_BYTES = 4_000_000_000
# Jobs are sped up here, and signed URLs age with them: these do not.
_URL_LIFETIME = 1e9


def main() -> None:
    """Serve until told to stop."""
    with Emulator(max_direct_upload=_DIRECT_UPLOAD_BYTES, url_lifetime=_URL_LIFETIME) as emulator:
        print(json.dumps(emulator.env), flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    main()
