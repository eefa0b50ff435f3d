"""A real Apache Superset of the tests' own, on loopback, in a temporary directory, and its REST API."""

from __future__ import annotations

import json
import os
import secrets
import socket
import subprocess
import time
import urllib.error
import urllib.request
import uuid
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

USER = "admin"
# What a session of Superset needs; nothing of it is a secret outside of this process.
CONFIG = """
SECRET_KEY = {secret!r}
SQLALCHEMY_DATABASE_URI = "sqlite:///{folder}/superset.db"
WTF_CSRF_ENABLED = False
TALISMAN_ENABLED = False
RATELIMIT_ENABLED = False
PREVENT_UNSAFE_DB_CONNECTIONS = False
"""


@dataclass
class Superset:
    """A running server and a session of its administrator."""

    url: str
    process: subprocess.Popen
    headers: dict[str, str] = field(default_factory=dict)

    @classmethod
    def start(cls, python: Path, folder: Path) -> Superset:
        """`python` is that of the environment with Superset in it. It takes a minute or two."""
        password = secrets.token_urlsafe(12)
        config = folder / "superset_config.py"
        config.write_text(CONFIG.format(secret=secrets.token_hex(24), folder=folder), encoding="utf-8")
        environment = {k: v for k, v in os.environ.items() if not k.startswith(("SOILHOUSE_", "PYTHONPATH"))} | {
            "SUPERSET_CONFIG_PATH": str(config),
            "SUPERSET_HOME": str(folder),
            "FLASK_APP": "superset",
            "PYTHONWARNINGS": "ignore",
        }
        command = str(python.with_name("superset"))
        with (folder / "log").open("w") as log:
            for arguments in (
                ("db", "upgrade"),
                ("fab", "create-admin", "--username", USER, "--firstname", "a", "--lastname", "b", "--email", "a@example.org", "--password", password),
                ("init",),
            ):  # fmt: skip
                subprocess.run([command, *arguments], env=environment, cwd=folder, stdout=log, stderr=log, check=True)
            with socket.socket() as free:
                free.bind(("127.0.0.1", 0))
                port = free.getsockname()[1]
            process = subprocess.Popen(
                [command, "run", "-h", "127.0.0.1", "-p", str(port), "--with-threads"],
                env=environment, cwd=folder, stdout=log, stderr=log,
            )  # fmt: skip
        server = cls(f"http://127.0.0.1:{port}", process)
        for _ in range(600):
            try:
                urllib.request.urlopen(f"{server.url}/health", timeout=5).close()
                break
            except OSError:
                assert process.poll() is None, (folder / "log").read_text()[-3000:]
                time.sleep(0.5)
        token = server.post("/api/v1/security/login", {"username": USER, "password": password, "provider": "db"})
        server.headers = {"Authorization": f"Bearer {token['access_token']}", "Referer": server.url}
        server.headers["X-CSRFToken"] = server.get("/api/v1/security/csrf_token/")["result"]
        return server

    def get(self, path: str) -> dict[str, Any]:
        return self._ask(urllib.request.Request(self.url + path))

    def post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        request = urllib.request.Request(
            self.url + path, json.dumps(body).encode(), {"Content-Type": "application/json"}
        )
        return self._ask(request)

    def import_dashboards(self, archive: bytes) -> None:
        """Post an archive as the form of Superset's page does."""
        mark = uuid.uuid4().hex
        head = f'--{mark}\r\nContent-Disposition: form-data; name="overwrite"\r\n\r\ntrue\r\n--{mark}\r\n'
        head += 'Content-Disposition: form-data; name="formData"; filename="dashboards.zip"\r\nContent-Type: application/zip\r\n\r\n'
        body = head.encode() + archive + f"\r\n--{mark}--\r\n".encode()
        headers = {"Content-Type": f"multipart/form-data; boundary={mark}"}
        answer = self._ask(urllib.request.Request(self.url + "/api/v1/dashboard/import/", body, headers))
        assert answer == {"message": "OK"}, answer

    def _ask(self, request: urllib.request.Request) -> dict[str, Any]:
        for name, value in self.headers.items():
            request.add_header(name, value)
        try:
            with urllib.request.urlopen(request, timeout=120) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{request.full_url}: {error.code}: {error.read().decode()[:1500]}") from None

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(timeout=30)
