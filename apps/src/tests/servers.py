"""The real servers, on free ports of the loopback interface, with data that ends with the test run."""

import contextlib
import glob
import os
import pathlib
import pwd
import random
import shutil
import socket
import subprocess
import time

import pytest

RABBITMQ = "/usr/lib/rabbitmq/bin/rabbitmq-server"


# Below the range from which the kernel takes the ports of clients: a client that tries to reconnect to a stopped server
# may otherwise get the port of that server. No port is returned twice.
_ports = iter(random.sample(range(20_000, 30_000), 10_000))


def free_port() -> int:
    for port in _ports:
        with contextlib.suppress(OSError), socket.socket() as listener:
            # As the servers do: without it a port with closing connections is refused.
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(("127.0.0.1", port))
            return port
    raise AssertionError("no port from 20000 to 29999 is free")


def need(*candidates: str) -> str:
    """Return the first program that exists. Without one the test is skipped, or fails where CI=true."""
    for candidate in candidates:
        found = shutil.which(candidate) or max(glob.glob(candidate), default=None)
        if found:
            return found
    why = f"{candidates[-1]} is missing: apt-get install rabbitmq-server redis-server postgresql"
    (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(why)


def until(what: str, done, seconds: float = 180, log=None):
    """Ask until done() is true, and return what it returns. The limit is for a machine that is busy with builds."""
    deadline = time.monotonic() + seconds
    while not (result := done()):
        if time.monotonic() > deadline:
            pytest.fail(f"not after {seconds} s: {what}\n{log.text() if log else ''}")
        time.sleep(0.05)
    return result


def listens(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False


def _pids() -> list[int]:
    return [int(entry.name) for entry in pathlib.Path("/proc").iterdir() if entry.name.isdigit()]


def _stat(pid: int) -> list[str]:
    """Return the fields of a process from its state on, or nothing when it has ended. The next field is the parent."""
    with contextlib.suppress(OSError):
        # The name of the program comes before and may hold spaces and parentheses.
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return []


class Process:
    """A program that runs until stop(). Its output is in a file."""

    def __init__(self, args: list[str], log: pathlib.Path, **kwargs):
        self.log = log
        with log.open("ab") as output:
            self.process = subprocess.Popen(
                args,
                stdout=output,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
                **kwargs,
            )

    def stop(self, signal: int = 15, seconds: float = 60) -> int:
        """Send a signal, wait for the end and return the exit code."""
        if self.process.poll() is None:
            self.process.send_signal(signal)
            try:
                self.process.wait(seconds)
            except subprocess.TimeoutExpired:
                os.killpg(self.process.pid, 9)
                self.process.wait()
        # What it started may still run.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, 9)
        return self.process.returncode

    def state(self) -> str:
        """Return one letter, as in proc(5): T is stopped."""
        return _stat(self.process.pid)[0]

    def children(self) -> list[int]:
        return [pid for pid in _pids() if _stat(pid)[1:2] == [str(self.process.pid)]]

    def text(self) -> str:
        return self.log.read_text(errors="replace")


class RabbitMQ:
    """A broker that can be stopped and started again with its messages."""

    def __init__(self, directory: pathlib.Path):
        need(RABBITMQ)
        self.directory, self.port = directory, free_port()
        self.epmd, self.distribution = free_port(), free_port()
        directory.mkdir()
        (directory / "rabbitmq.conf").write_text(f"listeners.tcp.default = 127.0.0.1:{self.port}\n")
        (directory / "plugins").write_text("[].\n")
        self.url = f"amqp://guest:guest@127.0.0.1:{self.port}/"
        self.mapper = Process(
            [need("epmd", "/usr/lib/erlang/erts-*/bin/epmd"), "-port", str(self.epmd), "-address", "127.0.0.1"],
            directory / "epmd.log",
        )
        self.server = None
        self.start()

    def start(self):
        environment = os.environ | {
            "HOME": str(self.directory),
            "RABBITMQ_NODENAME": f"test{self.port}@localhost",
            "RABBITMQ_CONFIG_FILE": str(self.directory / "rabbitmq"),
            "RABBITMQ_MNESIA_BASE": str(self.directory / "data"),
            "RABBITMQ_LOG_BASE": str(self.directory),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(self.directory / "plugins"),
            "RABBITMQ_DIST_PORT": str(self.distribution),
            "ERL_EPMD_PORT": str(self.epmd),
        }
        self.server = Process([RABBITMQ], self.directory / "rabbitmq.log", env=environment)
        until("RabbitMQ listens", lambda: listens(self.port))

    def stop(self):
        # The script hands the signal on to Erlang, which closes the queues.
        self.server.stop()

    def end(self):
        self.stop()
        self.mapper.stop()


@contextlib.contextmanager
def redis(directory: pathlib.Path):
    port = free_port()
    server = Process(
        [
            need("valkey-server", "redis-server"),
            "--port",
            str(port),
            "--bind",
            "127.0.0.1",
            "--save",
            "",
            "--dir",
            str(directory),
        ],
        directory / "redis.log",
    )
    try:
        until("Redis listens", lambda: listens(port))
        yield f"redis://127.0.0.1:{port}/0"
    finally:
        server.stop()


@contextlib.contextmanager
def postgresql(directory: pathlib.Path):
    initdb = need("/usr/lib/postgresql/*/bin/initdb")
    data, port = directory / "data", free_port()
    # PostgreSQL refuses to run as root.
    user = {"user": "postgres", "group": "postgres", "extra_groups": []} if os.geteuid() == 0 else {}
    if user:
        owner = pwd.getpwnam("postgres")
        os.chown(directory, owner.pw_uid, owner.pw_gid)
    options = ["--username=app", "--auth=trust", "--no-sync", "--encoding=UTF8", "--locale=C"]
    subprocess.run([initdb, "-D", data, *options], check=True, stdout=subprocess.DEVNULL, cwd="/", **user)
    log = directory.parent / "postgresql.log"
    server = Process(
        [
            str(pathlib.Path(initdb).parent / "postgres"),
            "-D",
            str(data),
            "-p",
            str(port),
            "-h",
            "127.0.0.1",
            "-k",
            "",
            "-F",
        ],
        log,
        cwd="/",
        **user,
    )
    url = f"postgresql://app@127.0.0.1:{port}/"
    try:
        until("PostgreSQL listens", lambda: listens(port) and "ready to accept connections" in log.read_text())
        yield url
    finally:
        server.stop(2)
