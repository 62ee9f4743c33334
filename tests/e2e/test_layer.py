"""The layer of third-party packages, as `sam build` has it made."""

import os
import re
import shutil
import subprocess
from pathlib import Path

from local.cloud import ROOT

SOURCE = ROOT / "layers/dependencies"


def build_layer(folder: Path) -> subprocess.CompletedProcess[str]:
    path = f"{ROOT / '.venvs/sam/bin'}{os.pathsep}{os.environ['PATH']}"  # its Python is a 3.13 with pip
    return subprocess.run(
        ["make", "build-DependenciesLayer", f"ARTIFACTS_DIR={folder / 'artifacts'}"],
        cwd=folder,
        env={**os.environ, "PATH": path},
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_package_that_is_not_the_locked_one_stops_the_build(tmp_path: Path) -> None:
    shutil.copytree(SOURCE, tmp_path, dirs_exist_ok=True)
    requirements = tmp_path / "requirements.txt"
    # A compiled package: of those `sam build` by itself checks only the wheel for this machine.
    head, _, tail = requirements.read_text().partition("markupsafe==")
    requirements.write_text(head + "markupsafe==" + re.sub(r"sha256:[0-9a-f]{4}", "sha256:0000", tail))
    built = build_layer(tmp_path)
    assert built.returncode
    assert "DO NOT MATCH THE HASHES" in built.stderr
    assert not list((tmp_path / "artifacts/python").iterdir())
