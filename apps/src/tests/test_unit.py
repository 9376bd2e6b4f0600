import json
import logging
import os
import subprocess
import sys
import time

import pytest

from app import alive, api, logs, settings

URLS = {
    "RABBITMQ_URL": "amqp://u:p@rabbitmq.data.svc:5672/",
    "REDIS_URL": "redis://default:p@valkey.data.svc:6379/0",
    "DATABASE_URL": "postgresql://app:p@postgresql-rw.data.svc:5432/app",
}


def test_the_database_is_reached_with_the_driver_that_is_installed():
    assert settings.load(URLS).database_url == "postgresql+psycopg://app:p@postgresql-rw.data.svc:5432/app"


def test_a_service_that_is_switched_off_is_named():
    with pytest.raises(SystemExit, match=r"REDIS_URL not set.*addons\.redis"):
        settings.load(URLS | {"REDIS_URL": ""})


def test_an_unknown_fault_is_refused():
    with pytest.raises(SystemExit, match="errors, slow, unready"):
        settings.load(URLS | {"FAULT": "sometimes"})


def test_a_log_line_is_json_with_its_fields():
    record = logging.makeLogRecord(
        {"name": "app", "levelname": "INFO", "msg": "job %s", "args": ("a",), "attempt": 2, "created": 0}
    )
    assert json.loads(logs.JSONFormatter().format(record)) == {
        "time": "1970-01-01T00:00:00.000+00:00",
        "level": "info",
        "logger": "app",
        "message": "job a",
        "attempt": 2,
    }


def test_a_traceback_stays_on_the_line():
    try:
        raise ValueError("no")
    except ValueError:
        line = logs.JSONFormatter().format(logging.makeLogRecord({"msg": "failed", "exc_info": sys.exc_info()}))
    assert "\n" not in line and "ValueError: no" in json.loads(line)["error"]


@pytest.mark.parametrize(("age", "code"), [(None, 1), (0, 0), (alive.LIMIT_SECONDS + 5, 1)])
def test_the_probe_looks_at_the_age_of_the_heartbeat(tmp_path, age, code):
    if age is not None:
        heartbeat = tmp_path / "heartbeat"
        heartbeat.touch()
        os.utime(heartbeat, (time.time() - age,) * 2)
    ended = subprocess.run(
        [sys.executable, "-m", "app.alive"],
        env={"RUNTIME_DIR": str(tmp_path), "PATH": os.environ["PATH"]},
        capture_output=True,
    )
    assert ended.returncode == code


def test_the_probe_loads_nothing_of_the_worker():
    code = "import sys, app.alive; sys.exit(any(name in sys.modules for name in ('celery', 'sqlalchemy', 'fastapi')))"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


@pytest.mark.parametrize("job", [{}, {"text": ""}, {"text": "a", "seconds": -1}, {"text": "a" * 10_001}])
def test_a_job_that_cannot_be_done_is_refused(job):
    with pytest.raises(ValueError):
        api.NewJob.model_validate(job)
