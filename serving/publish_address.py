"""The address of a PostgreSQL database, and a connection to it: no password in it, and an encrypted connection said to be one or not."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, urlsplit

from serving.errors import ServingError

if TYPE_CHECKING:
    from psycopg2.extensions import connection as Connection

SCHEMES = ("postgresql", "postgres")
_SECRETS = ("password", "sslpassword")
NO_PASSWORD = (
    "Leave it out, and give it through libpq's own means: the environment variable PGPASSWORD, or a line"
    " host:port:database:user:password in ~/.pgpass (mode 0600; another file by PGPASSFILE)."
)


def is_address(target: str) -> bool:
    """Whether a target is meant as the address of a PostgreSQL database."""
    return target.split(":", 1)[0].lower() in SCHEMES


def without_password(address: str) -> str:
    """The address, once it is one without a password. Raises ServingError, which never repeats what was given as one."""
    try:
        parts = urlsplit(address)
        has_password = parts.password is not None
        asked = {name.lower() for name, _ in parse_qsl(parts.query, keep_blank_values=True)}
    except ValueError as error:
        raise ServingError(
            f"The address of the database cannot be read: {error}.",
            "Write postgresql://user@host:5432/database (an IPv6 host in brackets).",
        ) from None
    # A password with a / or # ends the part that holds it, and would be taken for a database.
    if has_password or asked & set(_SECRETS) or re.search(r"^\w+://[^@/?#]*:[^@]*@", address):
        raise ServingError(
            "The address holds a password, which the shell's history, the list of processes and logs would show.",
            NO_PASSWORD,
        )
    if not address.lower().startswith(tuple(f"{scheme}://" for scheme in SCHEMES)):
        raise ServingError(
            "The address of the database cannot be read.",
            "Write postgresql://user@host:5432/database.",
        )
    return address


def connect(address: str) -> Connection:
    """A connection to the database, through libpq: its environment and its `?sslmode=verify-full&sslrootcert=ca.crt` are heeded.

    Raises ServingError when psycopg2 is missing, the address holds a password, or the server refuses.
    """
    address = without_password(address)
    try:
        import psycopg2
    except ModuleNotFoundError:
        raise ServingError(
            "Publishing to PostgreSQL needs the package psycopg2-binary, which is not installed.",
            "make environment-dev installs it, as does `pip install -e '.[postgres]'`.",
        ) from None
    try:
        connection = psycopg2.connect(address, application_name="soilhouse publish")
    except psycopg2.Error as error:
        raise ServingError(
            f"The database did not let us in: {' '.join(str(error).split())}", _step(str(error))
        ) from None
    return connection


def _step(refusal: str) -> str:
    """The next step for a refusal of libpq or the server."""
    for pattern, step in (
        ("no password supplied|password authentication failed", f"A password is needed, or another one. {NO_PASSWORD}"),
        (
            "certificate verify failed|root certificate|does not match host name",
            "The server's certificate is checked: name its authority's file with ?sslrootcert=ca.crt or PGSSLROOTCERT, and"
            " write the host as the certificate has it.",
        ),
        ("does not support SSL|SSL was required", "The server takes no encrypted connection; ask who runs it for TLS."),
        ("does not exist", "Check the names of database and user: postgresql://user@host:5432/database."),
        ("refused|could not translate|timeout|No route", "Check host and port, and that the server runs and is reached from here."),
    ):  # fmt: skip
        if re.search(pattern, refusal, re.IGNORECASE):
            return step
    return "The server's log says more."


def note_on_encryption(connection: Connection) -> str:
    """A sentence where the data travel over a network unencrypted, or to a server whose name was not checked; else empty."""
    info = connection.info
    host = info.host or ""
    if not host or host.startswith("/") or host in ("localhost", "127.0.0.1", "::1"):
        return ""
    mode = info.dsn_parameters.get("sslmode", "")
    if not info.ssl_in_use:
        return (
            f"the connection to {host} is not encrypted; ?sslmode=verify-full asks for TLS with a checked certificate"
        )
    if mode != "verify-full":
        return (
            f"the connection to {host} is encrypted, but its certificate is not checked; ?sslmode=verify-full checks it"
        )
    return ""
