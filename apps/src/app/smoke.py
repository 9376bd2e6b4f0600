"""Smoke test: python -m app.smoke http://service [seconds] sends jobs through the application.

It ends with 0 when all succeed. Its requests are also what the analysis of a release without other traffic is based on.
Prometheus calculates a rate from at least two scrapes, so for an analysis the jobs are sent some seconds apart.
"""

import json
import sys
import time
import urllib.error
import urllib.request

JOBS = 20
LIMIT_SECONDS = 120


def request(url: str, body: dict | None = None) -> dict:
    data = None if body is None else json.dumps(body).encode()
    asked = urllib.request.Request(url, data, {"Content-Type": "application/json"})
    with urllib.request.urlopen(asked, timeout=30) as answer:
        return json.load(answer)


def run(base: str, pause: float) -> str | None:
    """Send a job every pause seconds. Return what is wrong, or None."""
    try:
        jobs = []
        for _ in range(JOBS):
            jobs.append(request(f"{base}/jobs", {"text": "one two three"})["id"])
            time.sleep(pause)
        deadline = time.monotonic() + LIMIT_SECONDS
        for job in jobs:
            while (found := request(f"{base}/jobs/{job}?wait=10"))["state"] != "done":
                if time.monotonic() > deadline:
                    return f"job {job} is {found['state']} after {LIMIT_SECONDS} s: does a worker run?"
            if found["result"] != 3:
                return f"job {job} has the result {found['result']}, not 3"
    except (urllib.error.URLError, TimeoutError, KeyError, ValueError) as error:
        return f"{base}: {error}"
    return None


if __name__ == "__main__":
    if fault := run(sys.argv[1].rstrip("/"), float(sys.argv[2]) if len(sys.argv) > 2 else 0):
        sys.exit(fault)
    print(f"{JOBS} jobs done")
