"""SQS and Secrets Manager that answer at once, over TLS as on AWS; run as a program, it prints its port as JSON."""

import json
import ssl
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from subprocess import DEVNULL, PIPE, Popen
from typing import Any, override

from benchmarks.machine import Certificates

SECRET = "whsec_0123456789abcdef0123456789abcdef"  # noqa: S105 - a sample


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        match self.headers["X-Amz-Target"]:
            case "AmazonSQS.SendMessage":
                self._answer({"MessageId": str(uuid.uuid4()), "MD5OfMessageBody": ""})
            case "secretsmanager.GetSecretValue":
                self._answer({"Name": "webhook", "SecretString": SECRET})
            case _:
                self.send_error(501)

    def _answer(self, content: dict[str, Any]) -> None:
        body = json.dumps(content).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/x-amz-json-1.0")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    @override
    def log_message(self, format: str, *args: object) -> None:
        pass


@contextmanager
def running_aws(tls: Certificates) -> Iterator[str]:
    """Its endpoint; in a process of its own, so that only the client is measured."""
    command = [sys.executable, "-m", "benchmarks.instant_aws", str(tls.certificate), str(tls.key)]
    process = Popen(command, stdin=DEVNULL, stdout=PIPE, text=True)
    try:
        if process.stdout is None:
            raise RuntimeError("the server has no stdout")
        yield f"https://127.0.0.1:{json.loads(process.stdout.readline())['port']}"
    finally:
        process.terminate()
        process.wait()


def main() -> None:
    certificate, key = sys.argv[1:]
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    print(json.dumps({"port": server.server_port}), flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
