"""Records of jobs in PostgreSQL."""

import uuid
from datetime import datetime

from sqlalchemy import Engine, String, Text, create_engine, func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column


class Base(DeclarativeBase):
    pass


class Job(Base):
    """One job. attempts counts how often a worker began it; result is set once, when it is done."""

    __tablename__ = "jobs"

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    text: Mapped[str] = mapped_column(Text)
    seconds: Mapped[float] = mapped_column(server_default="0")
    state: Mapped[str] = mapped_column(String(16), server_default="queued")
    attempts: Mapped[int] = mapped_column(server_default="0")
    result: Mapped[int | None]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    finished_at: Mapped[datetime | None]


def engine(url: str) -> Engine:
    """Return a pool of connections. A dead connection is replaced before it is used."""
    return create_engine(url, pool_size=5, max_overflow=5, pool_pre_ping=True, connect_args={"connect_timeout": 3})


def check(db: Engine) -> None:
    """Raise when the database does not answer or has no table of jobs yet."""
    with db.connect() as connection:
        connection.execute(select(Job.id).limit(0))


def add(db: Engine, job_id: uuid.UUID, words: str, seconds: float) -> Job:
    """Record a job and return it. A job of that id stays as it is, so a request may be repeated."""
    with Session(db, expire_on_commit=False) as session:
        session.execute(insert(Job).values(id=job_id, text=words, seconds=seconds).on_conflict_do_nothing())
        session.commit()
        return session.get_one(Job, job_id)


def get(db: Engine, job_id: uuid.UUID) -> Job | None:
    with Session(db) as session:
        return session.get(Job, job_id)


def begin(db: Engine, job_id: uuid.UUID) -> Job | None:
    """Count one more attempt and return the job; None when it is done already or unknown."""
    with Session(db, expire_on_commit=False) as session:
        started = session.scalars(
            update(Job)
            .where(Job.id == job_id, Job.state != "done")
            .values(state="running", attempts=Job.attempts + 1)
            .returning(Job)
        ).one_or_none()
        session.commit()
        return started


def finish(db: Engine, job_id: uuid.UUID, result: int) -> bool:
    """Record the result and return True; False when another attempt was first."""
    with Session(db) as session:
        changed = session.execute(
            update(Job)
            .where(Job.id == job_id, Job.state != "done")
            .values(state="done", result=result, finished_at=func.now())
        ).rowcount
        session.commit()
        return changed == 1
