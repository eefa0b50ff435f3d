"""A PostgreSQL server of the tests' own: on loopback, in a temporary directory, with TLS by a certificate authority of its own."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

PASSWORD = "a password: with / and @"
INSTALL = (
    "PostgreSQL with PostGIS is not installed. Debian, Ubuntu: apt-get install postgresql postgresql-15-postgis-3"
    " (or the version at hand); then `make test-postgres`."
)


def binaries() -> Path | None:
    """The folder of initdb and postgres, of the newest version that has PostGIS beside it; None when there is none."""
    found = []
    for initdb in [
        *Path("/usr/lib/postgresql").glob("*/bin/initdb"),
        *map(Path, filter(None, [shutil.which("initdb")])),
    ]:
        folder = initdb.resolve().parent
        shared = subprocess.run([folder / "pg_config", "--sharedir"], capture_output=True, text=True, check=False)
        if shared.returncode == 0 and (Path(shared.stdout.strip()) / "extension" / "postgis.control").exists():
            found.append(folder)
    return max(found, default=None, key=lambda folder: folder.parent.name.zfill(4))


@dataclass
class Server:
    """A running server; `address` is that of a database in it, for a user whose password is PASSWORD."""

    folder: Path
    port: int
    process: subprocess.Popen

    @classmethod
    def start(cls, bin_folder: Path) -> Server:
        """initdb and postgres refuse to run as root: then they run as whoever owns nothing of the system."""
        folder = Path(tempfile.mkdtemp(prefix="soilhouse-postgres-"))
        account = {}
        if os.geteuid() == 0:
            entry = next(pwd.getpwnam(n) for n in ("postgres", "nobody") if n in {u.pw_name for u in pwd.getpwall()})
            account = {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}
        (folder / "password").write_text(PASSWORD)
        _certificates(folder)
        if account:
            for path in (folder, *folder.iterdir()):
                os.chown(path, account["user"], account["group"])
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE, "cwd": folder, **account}
        subprocess.run(
            [bin_folder / "initdb", "-D", folder / "data", "-U", "owner", "-A", "scram-sha-256", "-E", "UTF8",
             "--locale=C", "--no-sync", f"--pwfile={folder / 'password'}"], check=True, **quiet
        )  # fmt: skip
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        options = {
            "listen_addresses": "127.0.0.1", "port": port, "unix_socket_directories": "", "fsync": "off", "ssl": "on",
            "ssl_cert_file": folder / "server.crt", "ssl_key_file": folder / "server.key", "max_connections": 20,
        }  # fmt: skip
        arguments = [word for name, value in options.items() for word in ("-c", f"{name}={value}")]
        with (folder / "log").open("w") as log:
            process = subprocess.Popen(
                [bin_folder / "postgres", "-D", folder / "data", *arguments],
                stdout=log,
                stderr=log,
                cwd=folder,
                **account,
            )
        server = cls(folder, port, process)
        server._wait()
        server.create_database("with_postgis", template="template1")
        server.query("with_postgis", "create extension postgis")
        return server

    def _wait(self) -> None:
        import psycopg2

        for _ in range(200):
            try:
                psycopg2.connect(self.address("postgres"), password=PASSWORD).close()
                return
            except psycopg2.OperationalError:
                assert self.process.poll() is None, (self.folder / "log").read_text()
                time.sleep(0.1)
        raise AssertionError((self.folder / "log").read_text())

    def address(self, database: str, user: str = "owner", host: str = "127.0.0.1", **parameters: object) -> str:
        asked = "&".join(f"{name}={value}" for name, value in parameters.items())
        return f"postgresql://{user}@{host}:{self.port}/{database}{'?' if asked else ''}{asked}"

    def query(self, database: str, sql: str, *arguments: object, user: str = "owner") -> list[tuple]:
        """Run a statement in a transaction of its own and return its rows, if it has any."""
        import psycopg2

        connection = psycopg2.connect(self.address(database, user), password=PASSWORD)
        try:
            with connection, connection.cursor() as cursor:
                cursor.execute(sql, arguments or None)
                return cursor.fetchall() if cursor.description else []
        finally:
            connection.close()

    def create_database(self, name: str, template: str = "with_postgis") -> None:
        """A database of its own; `with_postgis` has the extension, whose making takes longer than most tests."""
        import psycopg2

        connection = psycopg2.connect(self.address("postgres"), password=PASSWORD)
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute(f'create database "{name}" template {template}')
        connection.close()

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(timeout=30)
        shutil.rmtree(self.folder)


def _certificates(folder: Path) -> None:
    """A certificate authority, and a server certificate of it for the name `localhost` (not for 127.0.0.1)."""

    def openssl(*arguments: str | Path) -> None:
        subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True, cwd=folder)

    new = ("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2")
    openssl(*new, "-x509", "-subj", "/CN=an authority", "-keyout", "ca.key", "-out", "ca.crt")
    openssl(*new, "-x509", "-subj", "/CN=another authority", "-keyout", "other.key", "-out", "other.crt")
    openssl(*new[:-2], "-subj", "/CN=localhost", "-keyout", "server.key", "-out", "server.csr")
    (folder / "san").write_text("subjectAltName=DNS:localhost\n")
    openssl("x509", "-req", "-in", "server.csr", "-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2",
            "-extfile", "san", "-out", "server.crt")  # fmt: skip
    (folder / "server.key").chmod(0o600)
