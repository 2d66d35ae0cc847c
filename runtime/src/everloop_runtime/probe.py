"""`python -m everloop_runtime.probe PORT`: whether the service on this machine is ready.

For a container's health check; its exit code is 0 when `/readyz` answers 200.
"""

import http.client
import sys

_SECONDS = 2.0


def is_ready(port: int) -> bool:
    """Whether a service on loopback says that it is ready."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=_SECONDS)
    try:
        connection.request("GET", "/readyz")
        return connection.getresponse().status == http.HTTPStatus.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


if __name__ == "__main__":
    sys.exit(0 if is_ready(int(sys.argv[1])) else 1)
