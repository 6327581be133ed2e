"""Settings: parsed once, frozen. Environment variables `TWINSPEAK_<NAME>`; docs/settings.md lists them all."""

import os
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import AliasChoices, Field, SecretStr, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from twinspeak.domain.errors import OperatorError

Words = Annotated[tuple[str, ...], NoDecode]
"""A tuple written as words parted by commas or blanks."""


class Settings(BaseSettings):
    """Everything an operator can set. Durations end in `_s` (seconds) or `_ms`; sizes in `_bytes` or `_chars`."""

    model_config = SettingsConfigDict(env_prefix="TWINSPEAK_", frozen=True, extra="ignore")

    host: str = "127.0.0.1"
    port: int = Field(default=8080, ge=0, le=65535)
    public_url: str = ""
    data_dir: Path = Path("data")
    database_url: str = ""
    redis_url: str = ""
    workers: int = Field(default=1, ge=1)

    admin_email: str = "admin@twinspeak.local"
    admin_password: SecretStr | None = None
    jwt_secret: SecretStr | None = None
    jwt_ttl_s: int = Field(default=86_400, ge=60, le=31_536_000)
    secrets_key: SecretStr | None = None
    allow_token_in_url: bool = False
    sign_up: Literal["open", "closed"] = "open"

    smtp_host: str = ""
    smtp_port: int = Field(default=587, ge=1, le=65535)
    smtp_user: str = ""
    smtp_password: SecretStr | None = None
    smtp_security: Literal["starttls", "tls", "none"] = "starttls"
    mail_from: str = "twinspeak@localhost"

    default_model: str = ""
    local_pace_ms: int = Field(default=8, ge=0, le=1_000)
    moderation: Literal["rules", "openai"] = "rules"
    web_search: Literal["off", "searxng", "brave", "tavily"] = "off"
    web_search_url: str = ""
    web_search_key: SecretStr | None = None
    mcp_programs: Path | None = None
    openai_wire: Literal["auto", "chat", "responses"] = "auto"

    stream_coalesce_ms: int = Field(default=20, ge=0, le=5_000)
    stream_heartbeat_s: float = Field(default=15, gt=0, le=3_600)
    stream_write_timeout_s: float = Field(default=60, gt=0, le=3_600)
    turn_first_token_s: float = Field(default=90, gt=0, le=3_600)
    turn_silence_s: float = Field(default=90, gt=0, le=3_600)
    turn_total_s: float = Field(default=900, gt=0, le=7_200)
    turn_max_rounds: int = Field(default=8, ge=1, le=64)
    turn_max_answer_chars: int = Field(default=400_000, ge=1_000, le=10_000_000)
    turn_log_keep_s: float = Field(default=60, ge=0, le=3_600)
    turn_abandoned_s: float = Field(default=600, gt=0, le=86_400)
    turn_lease_s: float = Field(default=30, ge=5, le=3_600)
    max_running_turns: int = Field(default=1_000, ge=1)
    turns_per_minute_user: int = Field(default=60, ge=1)
    turns_per_minute_twin: int = Field(default=1_200, ge=1)

    provider_attempts: int = Field(default=3, ge=1, le=10)
    provider_retry_budget_s: float = Field(default=15, ge=0, le=600)
    provider_at_once: int = Field(default=500, ge=1)
    provider_waiting: int = Field(default=500, ge=0)
    provider_patience_s: float = Field(default=30, gt=0, le=600)
    circuit_failures: int = Field(default=10, ge=0, le=10_000)
    circuit_open_s: float = Field(default=15, gt=0, le=3_600)

    socket_ping_interval_s: float = Field(default=25, gt=0, le=3_600)
    socket_ping_timeout_s: float = Field(default=20, gt=0, le=3_600)
    socket_probe_s: float = Field(default=5, gt=0, le=3_600)
    socket_max_payload_bytes: int = Field(default=1_000_000, ge=1_024, le=100_000_000)
    sockets_per_user: int = Field(default=50, ge=1)
    sockets_per_address: int = Field(default=2_000, ge=1)
    max_sockets: int = Field(default=20_000, ge=1)

    body_max_bytes: int = Field(default=1_048_576, ge=1_024)
    question_max_bytes: int = Field(default=8_388_608, ge=1_024, le=32_000_000)
    body_timeout_s: float = Field(default=20, gt=0, le=600)
    drain_s: float = Field(default=10, ge=0, le=600)

    read_memory_bytes: int = Field(default=1_500_000_000, ge=300_000_000)
    read_cpu_s: int = Field(default=120, ge=1, le=36_000)
    read_timeout_s: float = Field(default=600, gt=0, le=36_000)
    read_max_chars: int = Field(default=20_000_000, ge=1_000, le=100_000_000)
    read_max_rows: int = Field(default=200_000, ge=1_000)
    read_max_expanded_bytes: int = Field(default=1_000_000_000, ge=1_000_000)
    archive_members: int = Field(default=1_000, ge=1, le=100_000)
    archive_depth: int = Field(default=2, ge=0, le=10)
    ocr_languages: str = Field(default="eng", pattern=r"^[A-Za-z_]+(\+[A-Za-z_]+)*$")
    chunk_chars: int = Field(default=900, ge=200, le=8_000)
    chunk_parent_chars: int = Field(default=3_600, ge=200, le=32_000)

    ingest_workers: int = Field(default=1, ge=0, le=64)
    ingest_idle_s: float = Field(default=30, gt=0, le=86_400)
    ingest_lease_s: float = Field(default=30, ge=1, le=3_600)
    upload_file_max_bytes: int = Field(default=150_000_000, ge=1_024)
    upload_max_bytes: int = Field(default=600_000_000, ge=1_024)
    upload_timeout_s: float = Field(default=1_800, gt=0, le=86_400)
    vault_user_files: int = Field(default=300, ge=1)
    vault_user_bytes: int = Field(default=2_000_000_000, ge=1_024)
    vault_twin_bytes: int = Field(default=20_000_000_000, ge=1_024)

    trusted_proxies: Words = ()
    cors_origins: Words = ()
    egress_allow: Words = ()
    metrics_token: SecretStr | None = None
    log_format: str = Field(default="auto", pattern="^(auto|json|console)$")
    log_level: str = Field(default="info", pattern="^(debug|info|warning|error)$")

    openai_api_key: SecretStr | None = Field(default=None, validation_alias=AliasChoices("OPENAI_API_KEY"))
    openai_base_url: str = Field(default="", validation_alias=AliasChoices("OPENAI_BASE_URL"))
    anthropic_api_key: SecretStr | None = Field(default=None, validation_alias=AliasChoices("ANTHROPIC_API_KEY"))
    anthropic_base_url: str = Field(default="", validation_alias=AliasChoices("ANTHROPIC_BASE_URL"))
    gemini_api_key: SecretStr | None = Field(default=None, validation_alias=AliasChoices("GEMINI_API_KEY"))
    gemini_base_url: str = Field(default="", validation_alias=AliasChoices("GEMINI_BASE_URL"))
    xai_api_key: SecretStr | None = Field(default=None, validation_alias=AliasChoices("XAI_API_KEY"))
    xai_base_url: str = Field(default="", validation_alias=AliasChoices("XAI_BASE_URL"))
    mistral_api_key: SecretStr | None = Field(default=None, validation_alias=AliasChoices("MISTRAL_API_KEY"))
    mistral_base_url: str = Field(default="", validation_alias=AliasChoices("MISTRAL_BASE_URL"))

    aws_region: str = Field(default="", validation_alias=AliasChoices("AWS_REGION", "AWS_DEFAULT_REGION"))
    bedrock_endpoint_url: str = Field(default="", validation_alias=AliasChoices("AWS_ENDPOINT_URL_BEDROCK_RUNTIME"))
    bedrock_api_key: SecretStr | None = Field(default=None, validation_alias=AliasChoices("AWS_BEARER_TOKEN_BEDROCK"))
    aws_access_key_id: str = Field(default="", validation_alias=AliasChoices("AWS_ACCESS_KEY_ID"))
    aws_profile: str = Field(default="", validation_alias=AliasChoices("AWS_PROFILE"))
    aws_web_identity_token_file: str = Field(default="", validation_alias=AliasChoices("AWS_WEB_IDENTITY_TOKEN_FILE"))
    aws_container_credentials_uri: str = Field(
        default="",
        validation_alias=AliasChoices("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "AWS_CONTAINER_CREDENTIALS_FULL_URI"),
    )

    @field_validator("trusted_proxies", "cors_origins", "egress_allow", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        return tuple(value.replace(",", " ").split()) if isinstance(value, str) else value

    @model_validator(mode="after")
    def _refuse_what_is_not_built(self) -> Self:
        if self.redis_url:
            raise OperatorError("TWINSPEAK_REDIS_URL is set, but several nodes are not built yet: unset it.")
        if self.workers != 1:
            raise OperatorError("TWINSPEAK_WORKERS must be 1: more than one worker is not built yet.")
        return self

    def environment(self) -> dict[str, str]:
        """Return the environment for a process that is to have these settings: ours, with where everything is kept."""
        place = {"TWINSPEAK_DATA_DIR": str(self.data_dir.resolve()), "TWINSPEAK_DATABASE_URL": self.database}
        return {**os.environ, **place}

    @property
    def database(self) -> str:
        """The SQLAlchemy URL: `DATABASE_URL`, else SQLite in the data dir."""
        return self.database_url or f"sqlite:///{self.data_dir.resolve() / 'twinspeak.sqlite3'}"
