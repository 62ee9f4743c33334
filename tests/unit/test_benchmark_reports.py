from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks import chart, report
from benchmarks.cost import cost
from benchmarks.files import parse_size, size_text
from benchmarks.measured import Result
from benchmarks.peers import OURS, TOOLS
from benchmarks.receiver import environment_of
from jaas_archive.settings import ReceiverSettings

GIB = 1 << 30


def markdown(*results: Result) -> str:
    return report.markdown(results, machine="a machine")


def result(tool: str, *, case: str = "1GiB", cpu_seconds: float = 2.0, size: int = GIB) -> Result:
    return Result(
        case=case,
        tool=tool,
        wall_seconds=2.0,
        cpu_seconds_per_gib=cpu_seconds / size * GIB,
        peak_rss_mib=60.0,
        runs=1,
        cpu_seconds=cpu_seconds,
        rss_above_import_mib=20.0 if tool == OURS else None,
        cpu_above_import_seconds=None,
        size_bytes=size,
        parts=32,
        walls=[2.0],
        cpus=[cpu_seconds],
    )


def test_a_bar_is_met_or_missed_by_the_ratio_to_the_peer() -> None:
    ours, peer = result(OURS, cpu_seconds=2.0), result("requests-upload_fileobj", cpu_seconds=4.0)
    text = "| 1GiB | CPU ÷ requests-upload_fileobj | ≤ 0.6 |"
    assert f"{text} 0.50 | met |" in markdown(ours, peer)
    assert f"{text} 0.75 | **missed** |" in markdown(replace(ours, cpu_seconds=3.0), peer)


def test_a_bar_counts_against_the_better_rclone() -> None:
    old, latest = result("rclone-copyurl", cpu_seconds=8.0), result("rclone-latest-copyurl", cpu_seconds=4.0)
    assert "| 1GiB | CPU ÷ rclone-copyurl | ≤ 0.8 | 0.50 | met |" in markdown(result(OURS), old, latest)


def test_the_speed_at_a_limited_source_counts_against_what_all_connections_could_give() -> None:
    ours = replace(result(OURS, case="1GiB-limited"), wall_seconds=GIB / (0.96 * 8 * 30e6))
    text = "| 1GiB-limited | share of what all workers could get (aim) | ≥ 0.9 |"
    assert f"{text} 0.96 | met |" in markdown(ours)
    assert f"{text} 0.48 | **missed** |" in markdown(replace(ours, wall_seconds=2 * ours.wall_seconds))


def test_bars_without_their_tools_are_left_out() -> None:
    bars = markdown(result(OURS)).partition("## Bars")[2]
    assert "peak MiB" in bars
    assert "÷" not in bars


def test_the_tools_of_the_comparison_are_there() -> None:
    assert {
        "jaas-archive",
        "requests-upload_fileobj",
        "threadpool-upload_part",
        "smart_open",
        "rclone-copyurl",
        "rclone-copyto",
        "curl-aws-s3-cp",
        "c-relay",
    } <= {tool.name for tool in TOOLS}


def test_where_the_network_is_the_limit_twice_the_memory_costs_twice_as_much() -> None:
    large, small = result(OURS, cpu_seconds=0.5), result(OURS, case="100KiB", cpu_seconds=0.0, size=100 << 10)
    one, two = cost(large, small, 512), cost(large, small, 1024)
    assert one.seconds_per_recording == two.seconds_per_recording == pytest.approx(0.9e9 / 60e6, abs=0.01)
    assert two.lambda_usd["arm64"] == pytest.approx(2 * one.lambda_usd["arm64"], rel=0.01)


def test_where_the_processor_is_the_limit_half_the_memory_takes_twice_as_long() -> None:
    large, small = result(OURS, cpu_seconds=20.0), result(OURS, case="100KiB", cpu_seconds=0.5, size=100 << 10)
    one, two = cost(large, small, 256), cost(large, small, 512)
    assert one.seconds_per_recording == pytest.approx(2 * two.seconds_per_recording, rel=0.01)


@pytest.mark.parametrize(("text", "size"), [("100KiB", 100 << 10), ("8MiB", 8 << 20), ("1GiB", GIB), ("1000", 1000)])
def test_sizes_are_read_as_they_are_written(text: str, size: int) -> None:
    assert parse_size(text) == size
    assert size_text(size) == text


def test_a_chart_is_an_svg_with_a_point_for_each_value() -> None:
    svg = chart.draw([chart.Panel("CPU", ["1", "2"], [1, 2], [0.3, 7.0])])
    assert svg.startswith("<svg")
    assert svg.count("<circle") == 2


def test_the_receiver_is_measured_with_all_that_it_reads(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name, value in environment_of("https://127.0.0.1:1", tmp_path).items():
        monkeypatch.setenv(name, value)
    assert ReceiverSettings.from_env().file_kinds
