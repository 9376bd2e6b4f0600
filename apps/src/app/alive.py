"""The worker's probe: python -m app.alive ends with 0 when the heartbeat is younger than a minute.

It imports nothing of the worker, because a probe that loads Celery takes a second of CPU each time.
"""

import os
import pathlib
import sys
import time

LIMIT_SECONDS = 60


def main() -> int:
    try:
        age = time.time() - (pathlib.Path(os.environ.get("RUNTIME_DIR", "/tmp")) / "heartbeat").stat().st_mtime
    except FileNotFoundError:
        print("there is no heartbeat yet", file=sys.stderr)
        return 1
    if age > LIMIT_SECONDS:
        print(f"the last heartbeat is {age:.0f} s old; the limit is {LIMIT_SECONDS} s", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
