"""The npm packages of package-lock.json beside this file, installed once, and run by the Node from PyPI."""

import fcntl
import hashlib
import subprocess
from pathlib import Path

from tests.conformance.node import environment, node_home

HERE = Path(__file__).parent
PACKAGES = HERE / "node_modules" / "@modelcontextprotocol"
_INSTALL_S = 300


def package(name: str) -> Path:
    """Return the folder of a package; the first test that asks installs all, once for each lock file."""
    wanted = hashlib.sha256((HERE / "package-lock.json").read_bytes()).hexdigest()
    stamp = HERE / "node_modules" / ".lock-hash"
    with (HERE / "package-lock.json").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not stamp.exists() or stamp.read_text() != wanted:
            npm = node_home() / "lib/node_modules/npm/bin/npm-cli.js"
            command = [node_home() / "bin/node", npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
            subprocess.run(command, cwd=HERE, env=environment(), timeout=_INSTALL_S, check=True, capture_output=True)
            stamp.write_text(wanted)
    return PACKAGES / name
