import os
import pathlib
import sys
import tempfile
import uuid

import httpx
import psycopg
import pytest
import servers
from servers import Process, free_port, until

SOURCE = pathlib.Path(__file__).parent.parent


@pytest.fixture(scope="session")
def data():
    """A directory that the user of PostgreSQL can enter, unlike pytest's own."""
    with tempfile.TemporaryDirectory(prefix="app-test-") as name:
        os.chmod(name, 0o755)
        yield pathlib.Path(name)


@pytest.fixture(scope="session")
def broker(data):
    rabbitmq = servers.RabbitMQ(data / "rabbitmq")
    yield rabbitmq
    rabbitmq.end()


@pytest.fixture(scope="session")
def results(data):
    with servers.redis(data) as url:
        yield url


@pytest.fixture(scope="session")
def database_server(data):
    (data / "postgresql").mkdir()
    with servers.postgresql(data / "postgresql") as url:
        yield url


class Application:
    """The service and its workers as processes, in a database of their own."""

    def __init__(self, environment: dict, directory: pathlib.Path):
        self.environment, self.directory, self.processes = environment, directory, []

    def run(self, *args: str, runtime="", **environment) -> Process:
        place = self.directory / (runtime or "api")
        place.mkdir(exist_ok=True)
        process = Process(
            [sys.executable, *args],
            self.directory / f"{len(self.processes)}.log",
            cwd=SOURCE,
            env=self.environment | {"RUNTIME_DIR": str(place)} | environment,
        )
        self.processes.append(process)
        return process

    def migrate(self, **environment):
        process = self.run("-m", "app.migrate", **environment)
        assert process.process.wait(180) == 0, process.text()
        return process

    def worker(self, name: str, **environment) -> Process:
        """Start a worker and wait until it takes jobs."""
        metrics = free_port()
        process = self.run(
            "-m",
            "celery",
            "--app=app.worker",
            "worker",
            "--concurrency=2",
            "--without-gossip",
            "--without-mingle",
            "--without-heartbeat",
            f"--hostname={name}",
            runtime=name,
            METRICS_PORT=str(metrics),
            **environment,
        )
        process.metrics = f"http://127.0.0.1:{metrics}/metrics"
        until(
            f"worker {name} takes jobs",
            lambda: " ready." in process.text() or process.process.poll() is not None,
            log=process,
        )
        assert process.process.poll() is None, process.text()
        return process

    def api(self, **environment) -> httpx.Client:
        port = free_port()
        process = self.run("-m", "app.api", PORT=str(port), **environment)
        client = httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30)
        until("the service listens", lambda: servers.listens(port) or process.process.poll() is not None)
        assert process.process.poll() is None, process.text()
        client.process = process
        return client

    def record(self, job: str):
        """Return state, attempts and result as they are in the database."""
        with psycopg.connect(self.environment["DATABASE_URL"]) as connection:
            return connection.execute("SELECT state, attempts, result FROM jobs WHERE id = %s", [job]).fetchone()

    def end(self):
        for process in self.processes:
            process.stop(9)


@pytest.fixture
def application(broker, results, database_server, tmp_path):
    database = "t" + uuid.uuid4().hex
    with psycopg.connect(database_server + "postgres", autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {database}")
    environment = {name: value for name, value in os.environ.items() if not name.endswith("_URL")} | {
        "RABBITMQ_URL": broker.url,
        "REDIS_URL": results,
        "DATABASE_URL": database_server + database,
        "VERSION": "1.2.3",
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    application = Application(environment, tmp_path)
    yield application
    application.end()
