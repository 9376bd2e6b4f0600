"""Settings of the service and of the worker, read from the environment once at start."""

import os
from dataclasses import dataclass

SERVICES = ("RABBITMQ_URL", "REDIS_URL", "DATABASE_URL")
FAULTS = ("", "errors", "slow", "unready")


@dataclass(frozen=True)
class Settings:
    """URLs of the data services, and how this process behaves.

    fault makes the service fail on purpose, to try out how a release is judged: "errors" answers 500, "slow" answers
    after two seconds, "unready" never becomes ready. Probes and metrics are spared by the first two.
    """

    rabbitmq_url: str
    redis_url: str
    database_url: str
    version: str
    fault: str
    port: int


def load(environment=os.environ) -> Settings:
    """Return the settings, or raise SystemExit with the names of what is missing."""
    missing = [name for name in SERVICES if not environment.get(name)]
    if missing:
        raise SystemExit(
            f"{', '.join(missing)} not set: the Secret 'connections' holds the URL of each data service that is "
            "switched on (addons.rabbitmq, addons.redis, addons.postgresql); the application needs all three"
        )
    fault = environment.get("FAULT", "")
    if fault not in FAULTS:
        raise SystemExit(f"FAULT is {fault!r}; write one of errors, slow, unready, or leave it out")
    return Settings(
        rabbitmq_url=environment["RABBITMQ_URL"],
        redis_url=environment["REDIS_URL"],
        database_url=environment["DATABASE_URL"].replace("postgresql://", "postgresql+psycopg://", 1),
        version=environment.get("VERSION", "unknown"),
        fault=fault,
        port=int(environment.get("PORT", "8000")),
    )
