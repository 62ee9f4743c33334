import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/security.md").read_text()


def test_every_test_that_proves_something_exists() -> None:
    code = "".join(path.read_text() for path in ROOT.glob("tests/*/test_*.py"))
    assert set(re.findall(r"`(test_\w+)`", PAGE)) <= set(re.findall(r"^def (test_\w+)\(", code, re.MULTILINE))


def test_every_threat_names_its_proof() -> None:
    threats = re.search(r"^## Threats\n(.+?)^## ", PAGE, re.MULTILINE | re.DOTALL)
    assert threats
    rows = [line for line in threats[1].splitlines() if line.startswith("|")][2:]
    assert rows
    assert [row for row in rows if "`test_" not in row.split("|")[4]] == []
