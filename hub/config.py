"""Settings of `anxin`, read once from the environment (`ANXIN_…`). A wrong value is an error that names its variable.

`ANXIN_SECRETS_DIR` names a folder of files that are called like the variables in small letters (`anxin_database_url`), for what should
not stand in an environment; a variable wins over a file.
"""

import os
from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict, SettingsError

from hub.errors import BadInput

_TREE = Path(__file__).resolve().parent.parent
_PACKAGED = Path(__file__).resolve().parent / "data"


def data_folder(name: Literal["device-profiles", "rule-packs", "dashboards", "calendars"]) -> Path:
    """Where the shipped data lies: beside the package in a checkout, inside it in a wheel."""
    packaged = _PACKAGED / name
    return packaged if packaged.is_dir() else _TREE / name


class Settings(BaseSettings):
    """What `anxin serve` needs to know."""

    model_config = SettingsConfigDict(env_prefix="ANXIN_", extra="ignore")

    database_url: SecretStr
    """postgresql://…; the private engine's when `anxin demo` or a test starts it"""
    mqtt_url: SecretStr
    """mqtt://user:password@host:port of the hub's own listener"""
    device_mqtt_host: str = "127.0.0.1"
    """what is written into bundles: where edges reach the broker"""
    device_mqtt_port: int = Field(default=1883, ge=1, le=65535)
    mqtt_password_file: Path | None = None
    """Mosquitto's password file, rewritten when an edge gets a password; none where the broker is managed elsewhere"""
    api_host: str = "127.0.0.1"
    api_port: int = Field(default=8443, ge=0, le=65535)
    public_url: str = ""
    """how people and platforms reach the API, for links in notifications"""
    profiles: tuple[Path, ...] = ()
    """folders of device profiles; the shipped ones when empty"""
    rule_packs: tuple[Path, ...] = ()
    allow_loopback: bool = False
    """webhooks may go to this machine: for the demo and for tests only"""
    keep_readings_days: int = Field(default=90, ge=2, le=3650)
    """how long single readings are kept; older days are dropped (hub/runtime/housekeeping.py)"""
    order_stands_hours: int = Field(default=24, ge=1, le=720)
    """how long a violation stands before the hub drafts an order, or reopens one (hub/core/orders.py)"""
    order_holds_days: int = Field(default=7, ge=1, le=90)
    """for how long the rule must be proven to hold before an order is closed"""
    order_relapse_days: int = Field(default=30, ge=1, le=365)
    """a violation that begins so soon after an order was closed reopens it"""
    order_climbs_days: int = Field(default=7, ge=1, le=90)
    """after its deadline an order rises by one more division so often"""
    report_font: Path | None = None
    """a TrueType font with Chinese characters, embedded into PDF reports; else one of the system's is looked for (hub/reports/fonts.py)"""
    ledger_key: SecretStr | None = None
    """private Ed25519 key, 64 hexadecimal digits, that signs the daily digests of the ledger; without one they are unsigned, and say so"""
    channel_keys: SecretStr | None = None
    """keys under which channels' settings stand in the database, 32 bytes in base64 each: the first seals, each opens; none: they stand readable"""
    data: Path | None = None
    """folder of the hub's own journal and cached plan; without it they lie in memory and end with the process"""
    standby_url: str = ""
    """where the process with role paging takes requests: signed links are asked of it while the database does not answer; empty: this is it"""
    heartbeat_url: SecretStr | None = None
    """asked by the auditor after each round in which all was well; who watches from outside alarms when it stops"""
    canary_seconds: float = Field(default=30.0, ge=0.5, le=300.0)
    """from one round of canaries to the next"""
    canary_sink_url: str = ""
    """how the deliverer reaches the auditor; empty: on this machine, on a free port"""
    watch: tuple[str, ...] = ()
    """URLs that must answer 2xx for the heartbeat to be fed, the API's /readyz for example"""
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    log_format: Literal["console", "json"] = "json"

    def profile_folders(self) -> tuple[Path, ...]:
        """The folders to load profiles from."""
        return self.profiles or (data_folder("device-profiles"),)

    def rule_pack_folders(self) -> tuple[Path, ...]:
        """The folders to load rule packs from."""
        return self.rule_packs or (data_folder("rule-packs"),)


def load_settings() -> Settings:
    """Settings from the environment; raises BadInput that names the variable, never its value."""
    folder = os.environ.get("ANXIN_SECRETS_DIR")
    if folder is not None and not Path(folder).is_dir():
        raise BadInput("names no folder", "ANXIN_SECRETS_DIR", code="settings")
    try:
        return Settings(_secrets_dir=folder)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        name = "ANXIN_" + "_".join(str(part) for part in first["loc"]).upper()
        raise BadInput(str(first["msg"]), name, code="settings") from None
    except SettingsError as error:  # what is no JSON where a list is wanted; it names the field in quotes
        name = next((field for field in Settings.model_fields if f'"{field}"' in str(error)), "")
        reason = 'a list is written as JSON, for example ["/etc/anxin/profiles"]'
        raise BadInput(reason, f"ANXIN_{name.upper()}", code="settings") from None
