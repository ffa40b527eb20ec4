"""Runs RunPod's Python client for a test. Reads and writes one JSON object per line. Calls run in parallel.

Input: `{"call": n, "method": "run", "key": …, "endpoint": …, "arguments": [...]}`. Output: `{"call": n, "result": …}`
or `{"call": n, "status": 404, "error": "…"}`. The status is 401 for the client's own errors about keys, and 200 for a
refused GraphQL query.
"""

import json
import os
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import requests
import runpod
from runpod.endpoint.runner import Job
from runpod.error import AuthenticationError, QueryError

assert os.environ["RUNPOD_ENDPOINT_BASE_URL"] == runpod.endpoint_url_base

output = threading.Lock()


def perform(method: str, key: str, endpoint_id: str, arguments: list[Any]) -> Any:
    endpoint = runpod.Endpoint(endpoint_id, api_key=key)

    def job(job_id: str) -> Job:
        return Job(endpoint_id, job_id, endpoint.rp_client)

    match method:
        case "run":
            return endpoint.run(arguments[0]).job_id
        case "run_sync":
            return endpoint.run_sync(arguments[0], timeout=60)
        case "status":
            return {
                "status": job(arguments[0]).status(),
                "output": job(arguments[0]).output(),
            }
        case "stream":
            return list(job(arguments[0]).stream())
        case "cancel":
            return job(arguments[0]).cancel()
        case "health":
            return endpoint.health()
        case "purge_queue":
            return endpoint.purge_queue()
        case "control":
            runpod.api_key = key
            return getattr(runpod, arguments[0])(**arguments[1])
    raise ValueError(method)


def answer(line: str) -> None:
    request = json.loads(line)
    reply: dict[str, Any] = {"call": request["call"]}
    try:
        reply["result"] = perform(request["method"], request["key"], request["endpoint"], request["arguments"])
    except requests.HTTPError as error:
        reply.update(status=error.response.status_code, error=str(error))
    except QueryError as error:
        reply.update(status=200, error=str(error))
    except (RuntimeError, AuthenticationError) as error:
        reply.update(status=401, error=str(error))
    except Exception as error:  # noqa: BLE001 - the test shows any error
        reply.update(status=0, error=repr(error))
    with output:
        print(json.dumps(reply), flush=True)


with ThreadPoolExecutor(16) as pool:
    for line in sys.stdin:
        pool.submit(answer, line)
