"""What a tool had used when its imports were done; the rest is the copy's."""

import json
import resource
import time
from pathlib import Path


def report() -> None:
    """Tell it to benchmarks/runs.py, which reads stdout."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    rss_mib = pages * resource.getpagesize() / (1 << 20)
    print(json.dumps({"rss_mib": rss_mib, "cpu_seconds": time.process_time()}))
