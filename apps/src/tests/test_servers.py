"""The service and the worker against real RabbitMQ, Redis and PostgreSQL."""

import contextlib
import os
import re
import signal
import uuid
from concurrent.futures import ThreadPoolExecutor

import httpx
import psycopg
import pytest
from redis import Redis
from servers import free_port, until

from app import api, smoke

pytestmark = pytest.mark.servers

JOB = {"text": "one two three"}


def add(client, **more) -> str:
    answer = client.post("/jobs", json=JOB | more)
    assert answer.status_code == 202, answer.text
    return answer.json()["id"]


def done(application, job) -> bool:
    return application.record(job)[0] == "done"


def running(application, job) -> bool:
    return application.record(job)[0] == "running"


def execute(application, statement: str):
    """Run an SQL statement. Return its first row, if there is one."""
    with psycopg.connect(application.environment["DATABASE_URL"]) as connection:
        cursor = connection.execute(statement)
        return cursor.fetchone() if cursor.description else None


@contextlib.contextmanager
def postgresql_away(application):
    """End all connections to the database of the test, and refuse new ones."""
    server, name = application.environment["DATABASE_URL"].rsplit("/", 1)
    with psycopg.connect(server + "/postgres", autocommit=True) as connection:
        connection.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
        connection.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [name])
        yield
        connection.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")


def in_progress(client) -> int:
    return int(float(re.search(r"^http_requests_in_progress (.*)$", client.get("/metrics").text, re.M)[1]))


def test_a_job_is_taken_done_and_measured(application):
    application.migrate()
    worker, client = application.worker("one"), application.api()
    assert client.get("/readyz").json() == {"status": "ok", "faults": {}}
    assert client.get("/healthz").json()["version"] == "1.2.3"
    job = add(client)
    assert client.get(f"/jobs/{job}?wait=20").json() == {"id": job, "state": "done", "attempts": 1, "result": 3}
    assert client.get(f"/jobs/{uuid.uuid4()}").status_code == 404
    assert client.get("/nothing/here").status_code == 404
    metrics = client.get("/metrics").text
    assert 'http_requests_total{code="202",method="POST",route="/jobs"} 1.0' in metrics
    assert 'http_requests_total{code="404",method="GET",route="other"} 1.0' in metrics
    assert 'http_request_duration_seconds_count{method="GET",route="/jobs/{job_id}"} 2.0' in metrics
    assert "/healthz" not in metrics and job not in metrics
    # The counters of all processes of the worker together.
    assert 'app_jobs_total{outcome="done"} 1.0' in httpx.get(worker.metrics).text


def test_a_repeated_request_makes_one_job(application):
    application.migrate()
    client, key = application.api(), str(uuid.uuid4())
    for _ in range(3):
        assert client.post("/jobs", json=JOB, headers={"Idempotency-Key": key}).json()["id"] == key
    # Three messages wait for the worker now. Its two processes may begin the job at the same time; one of them ends it.
    worker = application.worker("one")
    until("the job is done", lambda: done(application, key))
    last = add(client)
    until("the messages are used up", lambda: done(application, last))
    state, attempts, result = application.record(key)
    assert (state, result) == ("done", 3) and 1 <= attempts <= 3
    ended = 'app_jobs_total{outcome="done"} 2.0'
    until("each job has ended once", lambda: ended in httpx.get(worker.metrics).text)


def test_a_job_waits_for_postgresql(application):
    application.migrate()
    client, away = application.api(), "PostgreSQL does not answer"
    job = add(client)
    with postgresql_away(application):
        worker = application.worker("one")
        until("the job has not begun", lambda: away in worker.text())
    until("the job is done", lambda: done(application, job))
    assert application.record(job) == ("done", 1, 3)
    job, before = add(client, seconds=3), worker.text().count(away)
    until("the job runs", lambda: running(application, job))
    with postgresql_away(application):
        until("the job has not ended", lambda: worker.text().count(away) > before)
    until("the job is done", lambda: done(application, job))
    assert application.record(job) == ("done", 1, 3)


def test_a_killed_worker_has_one_visible_effect(application):
    application.migrate()
    client, first = application.api(), application.worker("first")
    job = add(client, seconds=3)
    until("the job runs", lambda: running(application, job))
    os.killpg(first.process.pid, signal.SIGKILL)
    application.worker("second")
    until("the job is done", lambda: done(application, job))
    assert application.record(job) == ("done", 2, 3)


def test_a_killed_child_gives_its_job_back(application):
    application.migrate()
    client, worker = application.api(), application.worker("one")
    job = add(client, seconds=3)
    until("the job runs", lambda: running(application, job))
    children = worker.children()
    assert len(children) >= 2
    for child in children:
        os.kill(child, signal.SIGKILL)
    until("the job is done", lambda: done(application, job))
    state, attempts, result = application.record(job)
    assert (state, result) == ("done", 3) and attempts >= 2


def test_a_graceful_stop_loses_no_job(application):
    application.migrate()
    client, worker = application.api(), application.worker("first")
    # These take two processes 30 s, so that most of them wait when the worker stops.
    jobs = [add(client, seconds=3) for _ in range(20)]
    until("a job runs", lambda: any(running(application, job) for job in jobs))
    # The worker ends with the jobs that run. It waits for nothing else.
    assert worker.stop(signal.SIGTERM) == 0, worker.text()
    # What ran has ended; what waited still waits.
    states = [application.record(job)[0] for job in jobs]
    assert states.count("running") == 0 and 1 <= states.count("done") < len(jobs), states
    execute(application, "UPDATE jobs SET seconds = 0")
    application.worker("second")
    until("all are done", lambda: all(done(application, job) for job in jobs))
    assert [application.record(job) for job in jobs] == [("done", 1, 3)] * len(jobs)


def test_a_job_that_does_not_end_in_time_goes_back_to_the_queue(application):
    application.migrate()
    client, worker = application.api(), application.worker("first")
    job = add(client, seconds=600)
    until("the job runs", lambda: running(application, job))
    worker.process.send_signal(signal.SIGTERM)
    until("the worker begins to stop", lambda: "Warm shutdown" in worker.text(), log=worker)
    # As the kubelet does when the grace period of the pod is over.
    worker.stop(signal.SIGKILL)
    assert running(application, job)
    execute(application, "UPDATE jobs SET seconds = 0")
    application.worker("second")
    until("the job is done", lambda: done(application, job))
    assert application.record(job) == ("done", 2, 3)


def test_a_broker_that_is_away_restarts_no_worker_and_loses_no_job(application, broker):
    application.migrate()
    client, worker = application.api(), application.worker("one")
    heartbeat = application.directory / "one" / "heartbeat"
    key = str(uuid.uuid4())

    def post():
        return client.post("/jobs", json=JOB, headers={"Idempotency-Key": key})

    broker.stop()
    try:
        refused = post()
        assert refused.status_code == 503 and "repeat" in refused.text
        assert client.get("/readyz").status_code == 503 and client.get("/healthz").status_code == 200
        heartbeat.unlink()
        until("the worker beats without the broker", heartbeat.exists)
    finally:
        # The other tests use the same broker.
        broker.start()
    # RabbitMQ may refuse the queue for a moment after it listens. Each repeated request may send one more message.
    until("the job is taken", lambda: post().status_code == 202)
    until("the job is done", lambda: done(application, key))
    state, attempts, result = application.record(key)
    assert worker.process.poll() is None and (state, result) == ("done", 3) and attempts >= 1


def test_without_redis_a_job_is_taken_and_done(application):
    application.migrate()
    nowhere = {"REDIS_URL": f"redis://127.0.0.1:{free_port()}/0"}
    client = application.api(**nowhere)
    jobs = [add(client) for _ in range(3)]
    for job in jobs:
        queued = {"id": job, "state": "queued", "attempts": 0, "result": None}
        assert client.get(f"/jobs/{job}?wait=20").json() == queued
    assert client.get("/readyz").status_code == 200
    worker = application.worker("one", **nowhere)
    until("all are done", lambda: all(done(application, job) for job in jobs), log=worker)
    assert worker.process.poll() is None


def test_a_request_that_has_ended_leaves_no_subscription(application, results):
    application.migrate()
    client = application.api()
    job = add(client)
    assert client.get(f"/jobs/{job}?wait=0.1").json()["state"] == "queued"
    with Redis.from_url(results) as store:
        until("there is no subscription", lambda: not store.pubsub_channels(f"*{job}"), seconds=10)


def test_waiting_requests_leave_threads_for_the_probes(application):
    application.migrate()
    client = application.api()
    # More than may wait at the same time, and more than the 40 threads that all other requests share.
    jobs = [add(client) for _ in range(api.MAX_WAITING + 40)]
    with ThreadPoolExecutor(len(jobs)) as pool:
        answers = [pool.submit(client.get, f"/jobs/{job}?wait=20") for job in jobs]
        until("all requests are there", lambda: in_progress(client) == len(jobs))
        assert [client.get(path).status_code for path in ("/healthz", "/readyz")] == [200, 200]
        assert not any(answer.done() for answer in answers)
        application.worker("one")
        assert {answer.result().status_code for answer in answers} == {200}


def test_the_probe_of_liveness_needs_no_thread(application):
    application.migrate()
    client = application.api()
    job = add(client)
    with psycopg.connect(application.environment["DATABASE_URL"]) as lock, ThreadPoolExecutor(60) as pool:
        lock.execute("LOCK TABLE jobs IN ACCESS EXCLUSIVE MODE")
        answers = [pool.submit(client.get, f"/jobs/{job}") for _ in range(60)]
        try:
            until("all requests are there", lambda: in_progress(client) == len(answers))
            assert client.get("/healthz").status_code == 200
            assert not any(answer.done() for answer in answers)
        finally:
            lock.rollback()
        assert {answer.result().status_code for answer in answers} == {200}


def test_the_smoke_test_sends_its_jobs_some_time_apart(application):
    application.migrate()
    client, pause = application.api(), 0.2
    application.worker("one")
    process = application.run("-m", "app.smoke", str(client.base_url), str(pause))
    assert process.process.wait(180) == 0, process.text()
    count, seconds = execute(
        application, "SELECT count(*), extract(epoch FROM max(created_at) - min(created_at)) FROM jobs"
    )
    assert count == smoke.JOBS and seconds >= (smoke.JOBS - 1) * pause


def test_a_hanging_worker_stops_its_heartbeat(application):
    application.migrate()
    worker = application.worker("one")
    heartbeat = application.directory / "one" / "heartbeat"
    until("it beats", heartbeat.exists)
    os.kill(worker.process.pid, signal.SIGSTOP)
    until("it hangs", lambda: worker.state() == "T")
    heartbeat.unlink()
    with pytest.raises(pytest.fail.Exception):
        until("a stopped worker beats", heartbeat.exists, seconds=7)
    os.kill(worker.process.pid, signal.SIGCONT)


def test_the_service_answers_what_it_has_begun_before_it_ends(application):
    application.migrate()
    client = application.api()
    job = add(client)
    with ThreadPoolExecutor() as pool:
        waiting = pool.submit(client.get, f"/jobs/{job}?wait=10")
        until("the request is there", lambda: in_progress(client) == 1)
        # uvicorn ends by the signal itself, after its last answer.
        assert client.process.stop(signal.SIGTERM) == -signal.SIGTERM, client.process.text()
        assert waiting.result().status_code == 200


def test_a_database_without_tables_is_not_ready(application):
    client = application.api()
    assert client.get("/readyz").json()["faults"] == {"postgresql": "ProgrammingError"}
    assert client.post("/jobs", json=JOB).status_code == 503


def test_migrations_may_run_twice_and_at_once(application):
    both = [application.run("-m", "app.migrate") for _ in range(2)]
    assert [process.process.wait(180) for process in both] == [0, 0], both[0].text() + both[1].text()
    application.migrate()


@pytest.mark.parametrize(("fault", "code"), [("errors", 500), ("unready", 202), ("", 202)])
def test_faults_spare_the_probe_of_liveness(application, fault, code):
    application.migrate()
    client = application.api(FAULT=fault)
    assert client.post("/jobs", json=JOB).status_code == code
    assert client.get("/healthz").status_code == 200
    assert client.get("/readyz").status_code == (503 if fault == "unready" else 200)


def test_the_model_is_what_the_migrations_make(application):
    application.migrate()
    code = (
        "from alembic.migration import MigrationContext as M\nfrom alembic.autogenerate import compare_metadata as c\n"
        "from app import records, settings\nwith records.engine(settings.load().database_url).connect() as db:\n"
        "    print(c(M.configure(db), records.Base.metadata))"
    )
    process = application.run("-c", code)
    assert process.process.wait(180) == 0 and process.text().strip().endswith("[]"), process.text()
