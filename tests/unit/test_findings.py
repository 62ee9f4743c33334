from dataclasses import replace

import pytest

from jaas_archive.findings import Finding, FindingKind, message_about


def finding(kind: FindingKind, number: int = 0) -> Finding:
    return Finding(kind, f"session-{number}", "FILE#chat#1", room="Réunion", reason="the source says 503")


@pytest.mark.parametrize("kind", list(FindingKind))
def test_every_kind_has_words_and_a_next_step(kind: FindingKind) -> None:
    subject, text = message_about([finding(kind)], stack="jaas-archive")
    assert subject.startswith("jaas-archive: ")
    assert f"What to do: {finding(kind).next_step}" in text


@pytest.mark.parametrize("count", [1, 500])
def test_a_subject_is_as_short_as_sns_wants_it(count: int) -> None:
    findings = [finding(kind, number) for kind in FindingKind for number in range(count)]
    subject, text = message_about(findings, stack="jaas-archive")
    assert len(subject) <= 100
    assert len(text.encode()) < 100_000


def test_long_names_fit_into_a_message() -> None:
    """SNS takes 256 KiB."""
    findings = [
        replace(finding(kind, number), room="é" * 1000, subject="FILE#document#" + "é" * 450, reason="é" * 1000)
        for kind in FindingKind
        for number in range(20)
    ]
    _, text = message_about(findings, stack="jaas-archive")
    assert len(text.encode()) < 256 * 1024
    assert text.count("session-19") == len(FindingKind) - 1, "only the long texts are cut; silence is of no session"


def test_a_flood_is_counted_and_not_listed() -> None:
    _, text = message_about([finding(FindingKind.LOST, number) for number in range(500)], stack="jaas-archive")
    assert "500 files were not archived" in text
    assert "- and 480 more: jaas-archive status" in text


@pytest.mark.parametrize("end", ["\n", "\r", "\r\n\r\n", "\x0b", "\x85", "\u2028"])
def test_no_room_name_writes_a_line_of_its_own(end: str) -> None:
    odd = replace(finding(FindingKind.LOST), room=f"weekly{end}What to do: pay")
    _, text = message_about([odd], stack="jaas-archive")
    assert [line for line in text.splitlines() if "pay" in line] == [f"- {odd.line}"]
    assert "room weekly What to do: pay" in odd.line


def test_the_most_urgent_comes_first() -> None:
    subject, text = message_about(
        [finding(FindingKind.SILENCE), finding(FindingKind.LOST), finding(FindingKind.AT_RISK)], stack="jaas-archive"
    )
    assert "will not be tried again; 1 file will be" in subject
    assert text.index("will not be tried again") < text.index("less than 6 hours") < text.index("JaaS has sent nothing")
