"""The Celery application: broker, result store, and the one task."""

import time
import uuid

from celery import Celery
from celery.backends.redis import RedisBackend
from celery.utils.log import get_task_logger
from prometheus_client import Counter, Histogram
from sqlalchemy.exc import InterfaceError, InternalError, OperationalError

from app import records, settings

log = get_task_logger(__name__)

JOBS = Counter("app_jobs", "Jobs that a worker ended, by outcome.", ["outcome"])
DURATION = Histogram("app_job_duration_seconds", "Time from the start of an attempt to its end.")

# How long to wait before PostgreSQL is asked again, at first and at most.
RETRY_SECONDS, MAX_RETRY_SECONDS = 0.5, 15


class Results(RedisBackend):
    """Results in Redis. Only a request that waits for a result subscribes to it."""

    def on_task_call(self, producer, task_id):
        """Do nothing. Celery would subscribe to the result before it publishes the message.

        Publishing would then need Redis, and every subscription would stay open without a reader. This is a class
        because Celery makes a result backend for each thread.
        """


def create(config: settings.Settings) -> Celery:
    """Return the Celery application. A message is kept until its task has ended, whatever becomes of the worker."""
    celery = Celery("app", broker=config.rabbitmq_url, backend=f"app.tasks:Results+{config.redis_url}")
    celery.conf.update(
        # Quorum queues survive the loss of a RabbitMQ server; messages go back to them when a worker is lost.
        task_default_queue="jobs",
        task_default_queue_type="quorum",
        task_acks_late=True,
        task_reject_on_worker_lost=True,
        worker_prefetch_multiplier=1,
        # A publish returns only when RabbitMQ holds the message.
        broker_transport_options={
            "confirm_publish": True,
            "confirm_timeout": 5,
            "max_retries": 1,
            "interval_start": 0.2,
            "interval_step": 0.2,
        },
        task_publish_retry_policy={"max_retries": 1, "interval_start": 0.2},
        broker_connection_timeout=3,
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        # Remote control makes queues of a kind that RabbitMQ 4 refuses by default, and nothing here uses it.
        worker_enable_remote_control=False,
        # A result that can be waited for. The record in PostgreSQL stays.
        result_expires=3600,
        # Without Redis a request and a worker continue at once. The record in PostgreSQL has the result too.
        result_backend_transport_options={"retry_policy": {"max_retries": 0}},
        redis_socket_connect_timeout=2,
        redis_socket_timeout=5,
        task_serializer="json",
        accept_content=["json"],
        worker_hijack_root_logger=False,
        worker_redirect_stdouts=False,
    )
    db = records.engine(config.database_url)
    celery.conf.database = db

    @celery.task(name="app.count_words", autoretry_for=())
    def count_words(job_id: str) -> int | None:
        return _count_words(db, uuid.UUID(job_id))

    return celery


def _count_words(db, job_id: uuid.UUID) -> int | None:
    """Count the words of a job. It may run more than once for one job; only one run has an effect."""
    with DURATION.time():
        job = _until_answered(records.begin, db, job_id)
        if job is None:
            JOBS.labels("skipped").inc()
            log.info("job is done already", extra={"job": str(job_id)})
            return None
        # The time that real work would take.
        time.sleep(job.seconds)
        result = len(job.text.split())
        first = _until_answered(records.finish, db, job_id, result)
    JOBS.labels("done" if first else "skipped").inc()
    log.info("job ended", extra={"job": str(job_id), "attempt": job.attempts, "result": result})
    return result


def _until_answered(ask, *args):
    """Return what PostgreSQL answers, and ask again while it is away.

    Celery gives up the message of a task that raises, and the job would stay as it is for ever. The message of one that
    waits goes back to RabbitMQ when the worker stops.
    """
    pause = RETRY_SECONDS
    while True:
        try:
            return ask(*args)
        except (InterfaceError, InternalError, OperationalError) as error:
            log.warning("PostgreSQL does not answer", extra={"error": type(error).__name__, "seconds": pause})
        time.sleep(pause)
        pause = min(2 * pause, MAX_RETRY_SECONDS)
