"""USD per 1,000 recording hours by memory size; reads results/copy.json, writes results/cost.json and cost.md.

Nothing is measured here: it is arithmetic on the CPU that the whole processes took, with the assumptions below.
"""

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass

from benchmarks.machine import RESULTS
from benchmarks.measured import Result, read_results
from benchmarks.peers import FLOOR, OURS

# Prices of us-east-1: https://aws.amazon.com/lambda/pricing/ and https://aws.amazon.com/s3/pricing/
USD_PER_GB_SECOND = {"arm64": 0.0000133334, "x86_64": 0.0000166667}
USD_PER_INVOCATION = 0.20 / 1e6
USD_PER_S3_PUT = 0.005 / 1000

CORE_MB = 1769
"""The memory with which Lambda gives one vCPU; less memory gives that share of one."""
QUOTA_OVERHEAD = 1.3
"""With less than a vCPU a copy takes that many times CPU ÷ share: measured under a cgroup quota of 0.29 and 0.58."""
STORE_BYTES_PER_SECOND = 60e6
"""What a store gives one function in all; between 50 and 75 MB/s are usual."""
RECORDING_BITS_PER_SECOND = 2.0e6
"""720p with slides and faces, 0.9 GB an hour; 1.5 to 2.5 Mbit/s are usual, and the cost follows it."""
RECORDING_HOURS = 1
"""Length of a recording; one invocation with a cold start each, whose time Lambda bills too."""
RUNTIME_MIB = 40
"""What Lambda's runtime holds beside the process, roughly."""
MEMORY_MB = (128, 192, 256, 384, 512, 768, 1024, 1536, CORE_MB)

_GIB = 1 << 30
_LARGE, _SMALL = "1GiB", "100KiB"


@dataclass(frozen=True, slots=True)
class Cost:
    """Of 1,000 recording hours copied by a tool in functions of that memory."""

    tool: str
    memory_mb: int
    seconds_per_recording: float
    lambda_usd: Mapping[str, float]
    s3_requests_usd: float
    fits: bool


def cost(large: Result, small: Result, memory_mb: int) -> Cost:
    """From a tool's copy of a large file and of one so small that it shows the start."""
    share = memory_mb / CORE_MB
    overhead = QUOTA_OVERHEAD if share < 1 else 1.0
    recording_bytes = RECORDING_BITS_PER_SECOND / 8 * 3600 * RECORDING_HOURS
    cpu_seconds_per_byte = (large.cpu_seconds - small.cpu_seconds) / (large.size_bytes - small.size_bytes)
    start_seconds = small.cpu_seconds * overhead / share
    copy_seconds = recording_bytes * max(cpu_seconds_per_byte * overhead / share, 1 / STORE_BYTES_PER_SECOND)
    seconds = start_seconds + copy_seconds
    recordings = 1000 / RECORDING_HOURS
    requests = 2 + large.parts * recording_bytes / large.size_bytes
    return Cost(
        tool=large.tool,
        memory_mb=memory_mb,
        seconds_per_recording=round(seconds, 2),
        lambda_usd={
            architecture: round(recordings * (seconds * memory_mb / 1024 * price + USD_PER_INVOCATION), 4)
            for architecture, price in USD_PER_GB_SECOND.items()
        },
        s3_requests_usd=round(recordings * requests * USD_PER_S3_PUT, 4),
        fits=large.peak_rss_mib + RUNTIME_MIB <= memory_mb,
    )


def main() -> None:
    results = {(result.case, result.tool): result for result in read_results("copy")}
    tools = [tool for case, tool in results if case == _LARGE and (_SMALL, tool) in results and tool != FLOOR]
    if OURS not in tools:
        sys.exit(f"results/copy.json has no {_LARGE} and {_SMALL} of {OURS}: run make bench-copy")
    costs = [cost(results[_LARGE, tool], results[_SMALL, tool], memory_mb) for tool in tools for memory_mb in MEMORY_MB]
    text = "\n".join(_lines(costs))
    (RESULTS / "cost.json").write_text(json.dumps([asdict(one) for one in costs], indent=1) + "\n")
    (RESULTS / "cost.md").write_text(text)
    print(text)


def _lines(costs: Sequence[Cost]) -> Iterator[str]:
    yield "# What 1,000 recording hours cost\n"
    yield (
        f"Recordings of {RECORDING_HOURS} h at {RECORDING_BITS_PER_SECOND / 1e6:g} Mbit/s, a cold start for each, "
        f"a store that gives one function {STORE_BYTES_PER_SECOND / 1e6:g} MB/s in all, one vCPU at {CORE_MB} MB, "
        f"{QUOTA_OVERHEAD} times CPU ÷ share below that; arm64 is taken to need the CPU seconds measured here.\n"
        "Prices of us-east-1: USD "
        + ", ".join(f"{price} per GB-second on {name}" for name, price in USD_PER_GB_SECOND.items())
        + f"; {USD_PER_S3_PUT * 1000:g} per 1,000 requests of S3. Storage is left out.\n"
    )
    yield f"## {OURS} by memory size\n"
    yield "| MB | s per recording | Lambda arm64, USD | x86_64, USD | S3 requests, USD | memory |"
    yield "|---|---|---|---|---|---|"
    ours = [one for one in costs if one.tool == OURS]
    chosen = _chosen(ours)
    for one in ours:
        mark = "**" if one is chosen else ""
        yield (
            f"| {mark}{one.memory_mb}{mark} | {one.seconds_per_recording:.1f} | {one.lambda_usd['arm64']:.2f} "
            f"| {one.lambda_usd['x86_64']:.2f} | {one.s3_requests_usd:.2f} | {'' if one.fits else 'too little'} |"
        )
    yield (
        f"\nBy this alone **{chosen.memory_mb} MB** would do: the largest size that costs at most a tenth more than "
        f"the cheapest that holds the process.\nThe template gives {CORE_MB} MB, a whole vCPU, for "
        f"{_total(ours[-1]) - _total(chosen):.2f} USD more: a store may be faster than is assumed here, screenshots "
        "and an MD5 in order need memory of their own, and time is what a function, and a link, runs out of.\n"
    )
    yield "## Each tool at the memory size that is right for it\n"
    yield "| tool | MB | s per recording | Lambda arm64 + S3 requests, USD | to ours |"
    yield "|---|---|---|---|---|"
    total = _total(chosen)
    for tool in dict.fromkeys(one.tool for one in costs):
        best = _chosen([one for one in costs if one.tool == tool])
        yield (
            f"| {tool} | {best.memory_mb} | {best.seconds_per_recording:.1f} | {best.lambda_usd['arm64']:.2f} + "
            f"{best.s3_requests_usd:.2f} = {_total(best):.2f} | {_total(best) / total:.2f} |"
        )
    yield ""


def _chosen(costs: Sequence[Cost]) -> Cost:
    fitting = [one for one in costs if one.fits] or [costs[-1]]
    limit = 1.1 * min(map(_total, fitting))
    return max((one for one in fitting if _total(one) <= limit), key=lambda one: one.memory_mb)


def _total(one: Cost) -> float:
    return one.lambda_usd["arm64"] + one.s3_requests_usd


if __name__ == "__main__":
    main()
