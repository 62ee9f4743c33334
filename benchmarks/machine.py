"""What the benchmarks need of this machine: Debian's packages, the C programs compiled, a CA, room for files."""

import os
import platform
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks/results"
SCRATCH = ROOT / ".local/benchmarks"

NGINX = Path("/usr/sbin/nginx")  # not on everyone's PATH
DEBIAN_RCLONE = Path("/usr/bin/rclone")
LATEST_RCLONE = Path(sys.executable).parent / "rclone"

_NATIVE = ROOT / "benchmarks/native"
_PACKAGES = {
    "nginx-light": str(NGINX),
    "rclone": str(DEBIAN_RCLONE),
    "curl": "curl",
    "openssl": "openssl",
    "gcc": "gcc",
    "libc6-dev": "/usr/include/stdio.h",
    "libssl-dev": "/usr/include/openssl/ssl.h",
    "zlib1g-dev": "/usr/include/zlib.h",
}
"""Debian's packages, each with the command or file that shows it is there."""


@dataclass(frozen=True, slots=True)
class Certificates:
    """A CA of one's own and a certificate of it for 127.0.0.1."""

    authority: Path
    certificate: Path
    key: Path


def install_packages() -> None:
    """Install what is missing where that is allowed; otherwise say what to install, and exit."""
    missing = [package for package, proof in _PACKAGES.items() if not _is_there(proof)]
    if not missing:
        return
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        sys.exit(f"make bench needs more than is installed here. As root: apt-get install {' '.join(missing)}")
    print(f"installing {' '.join(missing)}", flush=True)
    # The packages' own services stay off: nginx runs under the benchmarks only.
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive", "RUNLEVEL": "1"}
    for command in (["update", "-qq"], ["install", "-qq", "-y", "--no-install-recommends", *missing]):
        done = subprocess.run(["apt-get", *command], env=environment, capture_output=True, text=True, check=False)
        if done.returncode:
            sys.exit(f"apt-get {' '.join(command)} failed:\n{done.stderr}")


def compiled(name: str) -> Path:
    """The program of that name, compiled if its source is newer."""
    program = SCRATCH / "bin" / name
    newest = max(path.stat().st_mtime for path in _NATIVE.iterdir())
    if not program.exists() or program.stat().st_mtime < newest:
        program.parent.mkdir(parents=True, exist_ok=True)
        subprocess.run(
            [
                *("gcc", "-O2", "-march=native", "-pthread", "-Wall", "-Wextra", "-o", program, _NATIVE / f"{name}.c"),
                *("-lssl", "-lcrypto", "-lz"),
            ],
            check=True,
        )
    return program


def certificates() -> Certificates:
    """A fresh CA and certificate, valid for a day."""
    folder = SCRATCH / "tls"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    new_key = ("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "1")
    signs = ("-addext", "keyUsage=critical,keyCertSign")  # Python 3.13 insists on it
    _openssl(folder, *new_key, *signs, "-subj", "/CN=benchmarks CA", "-keyout", "ca.key", "-out", "ca.pem")
    of_ca = ("-CA", "ca.pem", "-CAkey", "ca.key", "-addext", "subjectAltName=IP:127.0.0.1")
    usage = ("-addext", "basicConstraints=critical,CA:FALSE", "-addext", "extendedKeyUsage=serverAuth")
    _openssl(folder, *new_key, *of_ca, *usage, "-subj", "/CN=127.0.0.1", "-keyout", "server.key", "-out", "server.pem")
    return Certificates(folder / "ca.pem", folder / "server.pem", folder / "server.key")


def description() -> str:
    """Processor and versions, for the head of a report."""
    cpu = next(
        (line.split(":")[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines() if "model name" in line),
        platform.machine(),
    )
    commands = ([NGINX, "-v"], ["openssl", "version"], [DEBIAN_RCLONE, "version"], [LATEST_RCLONE, "version"])
    versions = "; ".join(_first_line(*command) for command in commands)
    return f"{cpu}, {os.cpu_count()} cores; Python {platform.python_version()}; {versions}"


def _is_there(proof: str) -> bool:
    return Path(proof).exists() if proof.startswith("/") else shutil.which(proof) is not None


def _openssl(folder: Path, *arguments: str) -> None:
    subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)


def _first_line(*command: str | Path) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return (done.stdout + done.stderr).splitlines()[0].removeprefix("nginx version: ").split(" (")[0]
