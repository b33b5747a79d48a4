"""All settings, read once from the environment or a .env file."""

import base64
import ipaddress
import re
import shlex
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import BeforeValidator, Field, ValidationError, ValidationInfo, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from errors import SettingsError

VERSION = "0.1.0"
SQLITE_SCHEME = "sqlite:///"
SECRETS = (
    "DATABASE_URL",
    "WEBHOOK_URL",
    "WEBHOOK_SECRET",
    "API_TOKEN",
    "SUBSONIC_PASSWORD",
)  # a URL may contain a password or a key
USUAL_TOKENS = Path("tokens.json")
HOST_NAME = re.compile("[a-z0-9._-]+")
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
POSTGRESQL_SCHEMES = ("postgresql://", "postgres://")
SHORTEST_PASSWORD = 12  # characters
UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
LONGEST = timedelta(days=36_500)


def duration(text: str) -> timedelta:
    """The duration of a text such as 90s, 30m, 24h or 7d. Raises ValueError with a sentence."""
    match = re.fullmatch("([0-9]{1,9})([smhd])", text.strip())
    length = timedelta(**{UNITS[match[2]]: int(match[1])}) if match else timedelta()
    if not timedelta() < length <= LONGEST:
        raise ValueError("expected a whole number and a unit (s, m, h or d), such as 24h or 7d, and at most 36500d")
    return length


_read_duration = BeforeValidator(lambda value: duration(value) if isinstance(value, str) else value)
Duration = Annotated[timedelta, _read_duration]


class Settings(BaseSettings):
    """The settings of one process. The environment variable of a field has the name of the field in capitals."""

    model_config = SettingsConfigDict(
        env_file=".env", env_file_encoding="utf-8", env_ignore_empty=True, extra="ignore", frozen=True
    )

    database_url: str = Field("", description="sqlite:///path or postgresql://user@host/name; wins over DB_PATH")
    db_path: Path = Field(Path("app.db"), description="the SQLite file")
    db_pool_size: int = Field(20, ge=1, le=1000, description="PostgreSQL connections a process may hold")
    sql_echo: bool = Field(False, description="log every statement with its duration")
    sqlite_synchronous: Literal["NORMAL", "FULL", "EXTRA"] = Field(
        "FULL", description="FULL survives a power cut; NORMAL may lose the last commits to one"
    )
    storage_dir: Path = Field(Path("output"), description="the folder of generated files")
    host: str = Field("127.0.0.1", description="the address to listen on")
    port: int = Field(8000, ge=1, le=65535, description="the port to listen on")
    allowed_hosts: str = Field("", description="names this service is reached by, comma-separated")
    trusted_proxies: str = Field("", description="addresses of proxies whose X-Forwarded headers are believed")
    tls_cert: Path | None = Field(None, description="the certificate for HTTPS without a proxy, in PEM")
    tls_key: Path | None = Field(None, description="the key of TLS_CERT, in PEM")
    web_processes: int = Field(1, ge=1, le=64, description="web processes that share the port")
    workers: int = Field(1, ge=0, le=64, description="worker processes beside the web process; 0 = none")
    lease_seconds: float = Field(60, ge=0.5, le=3600, description="how long a worker may be silent")
    generators: Path | None = Field(None, description="the file of recipes; by default generators.toml, if it exists")
    diffrhythm_command: str = Field("", description="how to run DiffRhythm")
    generator_timeout: float = Field(3600, gt=0, description="seconds a generator may take")
    max_upload_mb: int = Field(512, ge=1, le=100_000, description="the largest file that may be uploaded, in MB")
    event_retention_days: float = Field(7, gt=0, le=36_500, description="how long events can be read again")
    pin_web_process: bool = Field(True, description="keep the web process on one core")
    archive_after: Annotated[timedelta | None, _read_duration] = Field(
        None, description="how long a finished job may be unchanged before it is archived"
    )
    backup_dir: Path | None = Field(None, description="the folder of automatic backups; without it, none are made")
    backup_every: Duration = Field(timedelta(hours=24), description="how often a backup is made")
    backup_keep: int = Field(7, ge=1, le=10_000, description="how many automatic backups are kept")
    sse_limit: int = Field(1000, ge=1, le=10_000, description="event streams that may be open at once")
    webhook_url: str = Field("", description="where to POST that a job or a loop has ended")
    webhook_secret: str = Field("", validate_default=True, description="whsec_… to sign it with")
    log_format: Literal["text", "json"] = Field("text", description="lines of text, or a JSON object in each line")
    api_token: str = Field("", description="when set, /api wants Authorization: Bearer <token>")
    api_tokens: Path | None = Field(None, description="the file of tokens; by default tokens.json, if it exists")
    subsonic_user: str = Field("ledger", description="the name by which music players sign in")
    subsonic_password: str = Field("", description="when set, music players find the library under /rest/")

    @field_validator("db_path")
    @classmethod
    def _check_db_path(cls, path: Path) -> Path:
        if str(path) == ":memory:":
            raise ValueError("expected the path of a file: every thread would have a memory of its own")
        return path

    @field_validator("database_url")
    @classmethod
    def _check_scheme(cls, url: str) -> str:
        path = url.removeprefix(SQLITE_SCHEME)
        if url and not url.startswith(POSTGRESQL_SCHEMES) and path in (url, "", ":memory:"):
            raise ValueError("expected sqlite:///path-of-a-file or postgresql://user:password@host:port/name")
        return url

    @field_validator("diffrhythm_command")
    @classmethod
    def _check_command(cls, command: str) -> str:
        words = shlex.split(command)  # its ValueError says what is wrong with the quotes
        missing = [name for name in ("{prompt}", "{output_dir}") if words and not any(name in word for word in words)]
        if missing:
            raise ValueError(f"expected a command line with {' and '.join(missing)} in it")
        return command

    @field_validator("webhook_url")
    @classmethod
    def _check_webhook_url(cls, url: str) -> str:
        if url and not is_plain_url(url):
            raise ValueError("expected http:// or https://, a host, and no user or password")
        return url

    @field_validator("webhook_secret")
    @classmethod
    def _check_secret(cls, secret: str, info: ValidationInfo) -> str:
        if (secret or info.data.get("webhook_url")) and not 24 <= len(signing_key(secret)) <= 64:
            raise ValueError("expected whsec_ and 24 to 64 random bytes in base64, to sign what WEBHOOK_URL gets")
        return secret

    @field_validator("api_token")
    @classmethod
    def _check_token(cls, token: str) -> str:
        trimmed = token.strip()
        if token and not re.fullmatch("[ -~]+", trimmed):
            raise ValueError("expected letters, digits and signs of ASCII: a request cannot send others")
        return trimmed

    @field_validator("subsonic_user")
    @classmethod
    def _check_user(cls, user: str) -> str:
        if not user.strip():
            raise ValueError("expected the name by which music players sign in, such as ledger")
        return user.strip()

    @field_validator("subsonic_password")
    @classmethod
    def _check_password(cls, password: str, info: ValidationInfo) -> str:
        trimmed = password.strip()
        if trimmed and len(trimmed) < SHORTEST_PASSWORD:
            raise ValueError(f"expected at least {SHORTEST_PASSWORD} characters, chosen at random")
        if trimmed and trimmed == info.data.get("api_token"):
            raise ValueError("it must differ from API_TOKEN, because players store it on the device")
        return trimmed

    @field_validator("allowed_hosts")
    @classmethod
    def _check_hosts(cls, hosts: str) -> str:
        if not all(HOST_NAME.fullmatch(name) or is_address(name) for name in split_names(hosts)):
            raise ValueError("expected names such as studio.lan, separated by commas, without a port or https://")
        return hosts

    @field_validator("trusted_proxies")
    @classmethod
    def _check_proxies(cls, proxies: str) -> str:
        try:
            networks(proxies)
        except ValueError:
            raise ValueError("expected addresses or networks such as 127.0.0.1, 10.0.0.0/8, comma-separated") from None
        return proxies

    @model_validator(mode="after")
    def _check_folders(self) -> Self:
        if not self.is_postgresql and self.sqlite_path.resolve().is_relative_to(self.storage_dir.resolve()):
            raise ValueError(
                "STORAGE_DIR has the database in it: expected a folder of its own, as it is served to clients"
            )
        if self.backup_dir and self.backup_dir.resolve().is_relative_to(self.storage_dir.resolve()):
            raise ValueError("BACKUP_DIR is in STORAGE_DIR: expected another folder, as that one is served to clients")
        if self.tokens_path.resolve().is_relative_to(self.storage_dir.resolve()):
            raise ValueError("API_TOKENS is in STORAGE_DIR: expected another folder, as that one is served to clients")
        return self

    @model_validator(mode="after")
    def _check_tls(self) -> Self:
        if bool(self.tls_cert) != bool(self.tls_key):
            missing = "TLS_KEY" if self.tls_cert else "TLS_CERT"
            raise ValueError(f"{missing} is not set: set TLS_CERT and TLS_KEY, or none of them")
        return self

    @property
    def tokens_path(self) -> Path:
        """The path of the file of tokens, which may not exist."""
        return self.api_tokens or USUAL_TOKENS

    @property
    def webhook_key(self) -> bytes:
        """The bytes of WEBHOOK_SECRET."""
        return signing_key(self.webhook_secret)

    @property
    def is_postgresql(self) -> bool:
        """True when the database is a PostgreSQL server, False when it is an SQLite file."""
        return self.database_url.startswith(POSTGRESQL_SCHEMES)

    @property
    def sqlite_path(self) -> Path:
        """The path of the SQLite file; without meaning for PostgreSQL."""
        return Path(self.database_url.removeprefix(SQLITE_SCHEME)) if self.database_url else self.db_path

    @property
    def scheme(self) -> str:
        """How clients without a proxy reach the service: https with TLS_CERT, else http."""
        return "https" if self.tls_cert else "http"

    @property
    def proxy_networks(self) -> frozenset[Network]:
        """The addresses and networks of TRUSTED_PROXIES."""
        return networks(self.trusted_proxies)

    @property
    def host_names(self) -> frozenset[str]:
        """The names and addresses of ALLOWED_HOSTS, in lower case."""
        return split_names(self.allowed_hosts)


def split_names(hosts: str) -> frozenset[str]:
    """The names of a comma-separated list, in lower case and without the brackets of IPv6 addresses."""
    names = (name.strip().lower() for name in hosts.split(","))
    return frozenset(name[1:-1] if name[0] == "[" and name[-1] == "]" else name for name in names if name)


def networks(proxies: str) -> frozenset[Network]:
    """The networks of a comma-separated list; an address is a network of one. Raises ValueError."""
    return frozenset(ipaddress.ip_network(name) for name in split_names(proxies))


def is_address(name: str) -> bool:
    """True for an IPv4 or IPv6 address."""
    try:
        return bool(ipaddress.ip_address(name))
    except ValueError:
        return False


def is_plain_url(url: str) -> bool:
    """True for an http or https URL of printable ASCII with a host and without credentials."""
    try:
        parts = urlsplit(url)
        is_complete = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False
    return is_complete and "@" not in parts.netloc and re.fullmatch("[!-~]+", url) is not None


def signing_key(secret: str) -> bytes:
    """The bytes of a Standard Webhooks secret; none when it is not one."""
    prefix, _, text = secret.partition("_")
    try:
        return base64.b64decode(text, validate=True) if prefix == "whsec" else b""
    except ValueError:
        return b""


def load_settings() -> Settings:
    """Read the settings from the environment. Raises SettingsError, which names every wrong setting."""
    try:
        return Settings()
    except ValidationError as error:
        raise SettingsError("; ".join(_sentence(dict(problem)) for problem in error.errors())) from None


@cache
def get_settings() -> Settings:
    """The settings of this process, read at the first call."""
    return load_settings()


def _sentence(problem: dict[str, Any]) -> str:
    """One problem as a sentence, such as: PORT is 'x': input should be a valid integer."""
    name = ".".join(map(str, problem["loc"])).upper()
    message = str(problem["msg"]).removeprefix("Value error, ")
    if not name:  # a rule about several settings; its sentence names them
        return message
    value = ("set" if problem["input"] else "not set") if name in SECRETS else repr(problem["input"])
    return f"{name} is {value}: {message[0].lower() + message[1:]}"
