"""The Celery worker: celery --app=app.worker worker."""

import contextlib
import os
import pathlib
import shutil
import threading

# Counters of all processes of the worker are files here. Files of an earlier run would count twice.
_runtime = pathlib.Path(os.environ.get("RUNTIME_DIR", "/tmp"))
_metrics = _runtime / "metrics"
shutil.rmtree(_metrics, ignore_errors=True)
_metrics.mkdir(parents=True)
os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(_metrics)

from celery import bootsteps, signals  # noqa: E402
from celery.worker import consumer  # noqa: E402
from prometheus_client import CollectorRegistry, multiprocess, start_http_server  # noqa: E402

from app import logs, settings, tasks  # noqa: E402

HEARTBEAT = _runtime / "heartbeat"
BEAT_SECONDS = 5
METRICS_PORT = int(os.environ.get("METRICS_PORT", "9000"))

app = tasks.create(settings.load())
app.conf.worker_consumer = "app.worker:Consumer"


@signals.setup_logging.connect
def _logs(**_):
    logs.configure()


@signals.worker_init.connect
def _metrics_server(**_):
    registry = CollectorRegistry()
    multiprocess.MultiProcessCollector(registry)
    start_http_server(METRICS_PORT, registry=registry)


@signals.worker_process_init.connect
def _own_connections(**_):
    # A connection of PostgreSQL cannot be shared with the parent process.
    app.conf.database.dispose(close=False)


def beat() -> None:
    HEARTBEAT.touch()


class Heartbeat(bootsteps.StartStopStep):
    """Touches a file from the worker's event loop. The liveness probe looks at its age."""

    requires = ("celery.worker.components:Timer",)

    def start(self, worker):
        beat()
        self.timer = worker.timer.call_repeatedly(BEAT_SECONDS, beat, priority=10)

    def stop(self, worker):
        self.timer.cancel()


class Consumer(consumer.Consumer):
    """Keeps the heartbeat while it waits for RabbitMQ, which stops the event loop: a restart would not help."""

    def ensure_connected(self, *args, **kwargs):
        with _beating():
            return super().ensure_connected(*args, **kwargs)


@contextlib.contextmanager
def _beating():
    ended = threading.Event()

    def run():
        while not ended.wait(BEAT_SECONDS):
            beat()

    beat()
    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


app.steps["worker"].add(Heartbeat)
