"""The two ends of a copy: nginx as the store of the recordings, a sink that stands for S3."""

import json
import os
import queue
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from benchmarks import files
from benchmarks.machine import NGINX, SCRATCH, Certificates, compiled

LIMITED_BYTES_PER_SECOND = 30 * 1000 * 1000
"""Of one connection, where a case limits the source or the sink."""

_START_SECONDS = 10
_ANSWER_SECONDS = 5

_NGINX = """
{user}
daemon off;
worker_processes 2;
pid nginx.pid;
error_log stderr warn;
events {{ worker_connections 512; }}
http {{
    access_log off;
    types {{ video/mp4 mp4; }}
    client_body_temp_path temp; proxy_temp_path temp; fastcgi_temp_path temp; uwsgi_temp_path temp; scgi_temp_path temp;
    output_buffers 2 256k;
    keepalive_requests 100000;
    server {{
        listen 127.0.0.1:{port} ssl;
        ssl_certificate {tls.certificate};
        ssl_certificate_key {tls.key};
        # One suite for all, the one that S3 takes, so that no client is measured with another one.
        ssl_conf_command Ciphersuites TLS_AES_128_GCM_SHA256;
        location /fast/ {{ alias {files}/; }}
        location /limited/ {{ alias {files}/; limit_rate {rate}; }}
    }}
}}
"""


@dataclass(frozen=True, slots=True)
class Arrived:
    """An object that is whole at the sink."""

    key: str
    size: int
    crc32: int
    parts: int
    open_uploads: int


@dataclass(frozen=True, slots=True)
class Sink:
    """A running sink; `reports` gets each line that it prints."""

    endpoint: str
    reports: "queue.Queue[dict[str, Any]]" = field(default_factory=queue.Queue)

    def arrived(self) -> Arrived:
        """The one object that arrived since the last call.

        Raises:
            RuntimeError: none did, or more, or the sink had to refuse a request.
        """
        try:
            reports = [self.reports.get(timeout=_ANSWER_SECONDS)]
        except queue.Empty:
            raise RuntimeError("no object arrived") from None
        while not self.reports.empty():
            reports.append(self.reports.get())
        if len(reports) != 1 or "error" in reports[0]:
            raise RuntimeError(f"the sink reports {reports}")
        return Arrived(**reports[0])


@dataclass(frozen=True, slots=True)
class Servers:
    """Both ends, each with and without a limit per connection."""

    source: str
    sink: Sink
    slow_sink: Sink
    authority: Path

    def link(self, file: files.SourceFile, *, limited: bool) -> str:
        return f"{self.source}/{'limited' if limited else 'fast'}/{file.path.name}"


@contextmanager
def running_servers(tls: Certificates) -> Iterator[Servers]:
    """Started before, stopped after."""
    with _nginx(tls) as source, _sink(tls, 0) as sink, _sink(tls, LIMITED_BYTES_PER_SECOND) as slow_sink:
        yield Servers(source, sink, slow_sink, tls.authority)


@contextmanager
def _nginx(tls: Certificates) -> Iterator[str]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    home = SCRATCH / "nginx"
    home.mkdir(parents=True, exist_ok=True)
    files.folder().mkdir(parents=True, exist_ok=True)
    user = "user root;" if os.geteuid() == 0 else ""  # as itself, it may not read a file of root's
    (home / "nginx.conf").write_text(
        _NGINX.format(user=user, port=port, tls=tls, files=files.folder(), rate=LIMITED_BYTES_PER_SECOND)
    )
    command = [str(NGINX), "-e", "stderr", "-p", str(home), "-c", "nginx.conf"]
    with _process(command):
        _wait_for(port)
        yield f"https://127.0.0.1:{port}"


@contextmanager
def _sink(tls: Certificates, bytes_per_second: int) -> Iterator[Sink]:
    command = [str(compiled("sink")), str(tls.certificate), str(tls.key), str(bytes_per_second)]
    with _process(command) as process:
        lines = process.stdout
        if lines is None:
            raise RuntimeError("the sink has no stdout")
        sink = Sink(f"https://127.0.0.1:{json.loads(lines.readline())['port']}")
        threading.Thread(target=_read_reports, args=(lines, sink.reports), daemon=True).start()
        yield sink


def _read_reports(lines: IO[str], reports: "queue.Queue[dict[str, Any]]") -> None:
    for line in lines:
        reports.put(json.loads(line))


@contextmanager
def _process(command: list[str]) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
    try:
        yield process
    finally:
        process.terminate()
        process.wait()


def _wait_for(port: int) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise RuntimeError("nginx did not start")
