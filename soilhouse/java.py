"""The Java runtime that Spark needs."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

from soilhouse.errors import UserError

NEEDED = 17


def java_version() -> int | None:
    """The major version of the java that Spark would start (JAVA_HOME, else the PATH), None without one."""
    home = os.environ.get("JAVA_HOME")
    program = shutil.which("java", path=str(Path(home) / "bin")) if home else shutil.which("java")
    if program is None:
        return None
    try:
        said = subprocess.run([program, "-version"], capture_output=True, text=True, timeout=30, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    # Up to Java 8 the major version was the second number: 1.8.0_392.
    found = re.search(r'version "(?:1\.)?(\d+)', said.stderr + said.stdout)
    return int(found[1]) if found else None


def require_java() -> None:
    """Raises UserError when Spark could not start."""
    version = java_version()
    if version is None or version < NEEDED:
        found = "none is found" if version is None else f"Java {version} is found"
        raise UserError(
            f"Spark needs Java {NEEDED}, and {found}.",
            f"Install a Java {NEEDED} runtime (Debian, Ubuntu: apt install openjdk-17-jre-headless; macOS: brew install openjdk@17) "
            "and point JAVA_HOME at it, or build with --target duckdb, which needs no Java.",
        )
