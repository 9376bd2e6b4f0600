"""The HTTP service: python -m app.api."""

import asyncio
import contextlib
import logging
import time
import uuid
from typing import Annotated

import anyio
import uvicorn
from celery.exceptions import TimeoutError as NotYet
from fastapi import FastAPI, Header, HTTPException, Query, Response
from kombu.exceptions import OperationalError
from prometheus_client import CONTENT_TYPE_LATEST, Counter, Gauge, Histogram, generate_latest
from pydantic import BaseModel, Field
from redis.exceptions import RedisError
from sqlalchemy.exc import SQLAlchemyError

from app import logs, records, settings, tasks

log = logging.getLogger("app.api")

IN_PROGRESS = Gauge("http_requests_in_progress", "Requests that are not answered yet.")
REQUESTS = Counter("http_requests", "Requests that were answered.", ["method", "route", "code"])
LATENCY = Histogram(
    "http_request_duration_seconds",
    "Time to answer a request.",
    ["method", "route"],
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
)
# Requests of machines that watch the service. They are neither counted nor logged, and injected faults spare them.
WATCHERS = ("/healthz", "/readyz", "/metrics")
SLOW_SECONDS = 2
# How many requests may wait for a result at the same time. They have threads of their own, one for each request.
MAX_WAITING = 20


class NewJob(BaseModel):
    """A text whose words are counted. seconds is extra work time, for trials."""

    text: str = Field(min_length=1, max_length=10_000)
    seconds: float = Field(default=0, ge=0, le=600)


class Job(BaseModel):
    id: uuid.UUID
    state: str
    attempts: int
    result: int | None


def create(config: settings.Settings) -> FastAPI:
    """Return the service. app.state.draining set to True makes it report that it is not ready."""
    celery = tasks.create(config)
    db = celery.conf.database
    app = FastAPI(title="jobs", version=config.version)
    app.state.draining = False
    app.add_middleware(Observed, fault=config.fault)
    waiting = anyio.CapacityLimiter(MAX_WAITING)

    # /healthz and /metrics run in the event loop, so they answer while every thread is busy. Otherwise the kubelet
    # would restart a healthy pod.
    @app.get("/healthz")
    async def healthz():
        return {"status": "ok", "version": config.version}

    @app.get("/readyz")
    def readyz(response: Response):
        faults = not_ready(app, config, db, celery)
        response.status_code = 503 if faults else 200
        return {"status": "not ready" if faults else "ok", "faults": faults}

    @app.get("/metrics")
    async def metrics():
        return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)

    @app.post("/jobs", status_code=202)
    def add(job: NewJob, idempotency_key: Annotated[uuid.UUID | None, Header()] = None) -> Job:
        """Take a job. The Idempotency-Key of an earlier request gives the same job, so a request can be repeated."""
        record = records.add(db, idempotency_key or uuid.uuid4(), job.text, job.seconds)
        if record.state == "queued":
            # The record comes first: a worker must find it. A repeated request may send the message twice.
            celery.send_task("app.count_words", [str(record.id)], task_id=str(record.id))
        return Job.model_validate(record, from_attributes=True)

    @app.get("/jobs/{job_id}")
    async def get(job_id: uuid.UUID, wait: Annotated[float, Query(ge=0, le=20)] = 0) -> Job:
        """Return a job, at once or when it is done, at the latest after wait seconds."""
        record = await anyio.to_thread.run_sync(records.get, db, job_id)
        if record is None:
            raise HTTPException(404, f"there is no job {job_id}")
        if wait and record.state != "done":
            deadline = time.monotonic() + wait
            # The wait includes the time until a thread is free.
            with anyio.move_on_after(wait):
                await anyio.to_thread.run_sync(wait_for, celery, str(job_id), deadline, limiter=waiting)
            record = await anyio.to_thread.run_sync(records.get, db, job_id)
        return Job.model_validate(record, from_attributes=True)

    @app.exception_handler(OperationalError)
    @app.exception_handler(SQLAlchemyError)
    def unavailable(request, error):
        log.error("a data service does not answer", extra={"error": type(error).__name__, "path": request.url.path})
        return Response(
            '{"detail": "a data service does not answer; repeat the request"}', 503, media_type="application/json"
        )

    return app


def wait_for(celery, job_id: str, deadline: float) -> None:
    """Return when the result of a job is in Redis, at the deadline (of time.monotonic), or at once without Redis."""
    # Celery raises RuntimeError when it cannot subscribe. The record is in PostgreSQL anyway.
    with contextlib.suppress(NotYet, RedisError, RuntimeError):
        result = celery.AsyncResult(job_id)
        try:
            result.get(timeout=max(0, deadline - time.monotonic()), propagate=False)
        finally:
            # Celery would keep the subscription of a wait that timed out until the result is there.
            result.backend.remove_pending_result(result)


def not_ready(app, config, db, celery) -> dict[str, str]:
    """Name what keeps the service from working. Redis is left out: without it only waiting for a result fails."""
    if app.state.draining:
        return {"service": "is shutting down"}
    if config.fault == "unready":
        return {"service": "FAULT is unready"}
    faults = {}
    try:
        records.check(db)
    except SQLAlchemyError as error:
        faults["postgresql"] = type(error).__name__
    try:
        with celery.connection_for_write(connect_timeout=2) as connection:
            connection.ensure_connection(max_retries=1, timeout=2, reraise_as_library_errors=True)
    except Exception as error:
        faults["rabbitmq"] = type(error).__name__
    return faults


class Observed:
    """ASGI middleware that counts, times and logs requests, and injects the fault of the settings."""

    def __init__(self, app, fault: str):
        self.app, self.fault = app, fault

    async def __call__(self, scope, receive, send):
        if scope["type"] != "http" or scope["path"] in WATCHERS:
            return await self.app(scope, receive, send)
        began, code = time.perf_counter(), 500

        async def note(message):
            nonlocal code
            if message["type"] == "http.response.start":
                code = message["status"]
            await send(message)

        try:
            with IN_PROGRESS.track_inprogress():
                await self._answer(scope, receive, note)
        finally:
            took = time.perf_counter() - began
            # The pattern, not the path: a series for each job would never end.
            route = getattr(scope.get("route"), "path", "other")
            REQUESTS.labels(scope["method"], route, code).inc()
            LATENCY.labels(scope["method"], route).observe(took)
            log.info(
                "request", extra={"method": scope["method"], "route": route, "code": code, "seconds": round(took, 4)}
            )

    async def _answer(self, scope, receive, send):
        if self.fault == "errors":
            return await Response('{"detail": "FAULT is errors"}', 500, media_type="application/json")(
                scope, receive, send
            )
        if self.fault == "slow":
            await asyncio.sleep(SLOW_SECONDS)
        await self.app(scope, receive, send)


class Server(uvicorn.Server):
    """Reports not ready as soon as it is asked to stop; open requests are answered first."""

    def handle_exit(self, sig, frame):
        self.config.app.state.draining = True
        super().handle_exit(sig, frame)


def main() -> None:
    logs.configure()
    config = settings.load()
    server = Server(
        uvicorn.Config(
            create(config),
            host="0.0.0.0",
            port=config.port,
            log_config=None,
            access_log=False,
            server_header=False,
            # Longer than the 60 s of the load balancer, which has to be the side that closes an idle connection.
            timeout_keep_alive=75,
            # The pod has 45 s; its preStop wait takes 15 of them.
            timeout_graceful_shutdown=25,
        )
    )
    server.run()


if __name__ == "__main__":
    main()
