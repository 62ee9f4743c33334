"""An AWS of one's own: MiniStack on a free loopback port, and the stack that the real SAM deploys on it."""

import fcntl
import http.client
import json
import os
import platform
import re
import signal
import socket
import subprocess
import sys
import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from types import MappingProxyType
from typing import IO, Any
from urllib.parse import urlsplit

import boto3
import botocore.session
from botocore.config import Config

ROOT = Path(__file__).resolve().parents[1]
LOGS = ROOT / ".local"
REGION = "us-east-1"

_RUNTIME_PYTHON = ROOT / ".venvs/runtime/bin/python"
_SAM_FOLDER = ROOT / ".venvs/sam/bin"
_ARTIFACTS_BUCKET = "sam-artifacts"
_ARCHITECTURE = "arm64" if platform.machine().lower() in {"arm64", "aarch64"} else "x86_64"
# Functions run on this machine's processor, and nobody wants to watch them wait before they try again.
_LOCAL_PARAMETERS = {"Architecture": _ARCHITECTURE, "FirstRetrySeconds": "1"}
_START_SECONDS = 60
_STOP_SECONDS = 10
_KEEP_SECONDS = 120
_POLL_SECONDS = 0.1
_KEPT_LOGS = 20
_SHOWN_LINES = 40


class CloudError(Exception):
    """The cloud did not start, or SAM failed on it; the message shows the end of the log and where the rest is."""


@dataclass(slots=True, eq=False)
class Cloud:
    """A running MiniStack."""

    endpoint: str
    log_path: Path
    _command: Sequence[str]
    _environment: Mapping[str, str]
    _process: subprocess.Popen[bytes] = field(init=False)
    _clients: dict[str, Any] = field(init=False, default_factory=dict)

    def start(self) -> None:
        """Start it, and wait until it answers.

        Raises:
            CloudError: it did not.

        """
        with self.log_path.open("ab") as log:
            self._process = subprocess.Popen(
                self._command,
                cwd=ROOT,
                env=self._environment,
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C is for us; we end it when we are done
            )
        _wait_until_ready(self.endpoint, self._process, self.log_path)

    def restart(self) -> None:
        """Stop it, with whatever its functions are doing, and start it with what it has kept: not parts of uploads.

        Raises:
            CloudError: it did not keep its state, or did not start.
        """
        kept = Path(self._environment["STATE_KEPT_FILE"])
        kept.unlink(missing_ok=True)
        self._process.terminate()
        give_up_at = time.monotonic() + _KEEP_SECONDS
        while not kept.exists():
            if time.monotonic() > give_up_at:
                raise CloudError(f"MiniStack did not keep its state in {_KEEP_SECONDS} seconds.{_shown(self.log_path)}")
            time.sleep(_POLL_SECONDS)
        _kill(self._process)
        self.start()

    def stop(self) -> None:
        """End it with all its processes, at once."""
        _stop(self._process)

    @property
    def exit_code(self) -> int | None:
        """How it ended, None while it runs."""
        return self._process.poll()

    def workers(self, function: str) -> dict[int, int]:
        """The processes that run a function, by a part of its name, and the KiB of memory that each has."""
        return {int(pid): int(kibibytes) for pid, kibibytes in self._ps(function, "rss")}

    def processor_seconds(self, function: str = "") -> float:
        """What the processes that run a function have used of the processors, or MiniStack itself; on Linux each in
        whole seconds.
        """
        return sum(seconds_of(time_used) for _, time_used in self._ps(function, "time"))

    def _ps(self, function: str, column: str) -> list[tuple[str, str]]:
        """The ids of a function's processes, or MiniStack's own, each with what `ps` says of it in the column."""
        command = ["ps", "-A", "-o", f"pid=,ppid=,{column}=,args="]
        lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
        ours = str(self._process.pid)
        return [
            (pid, value)
            for pid, parent, value, program in (line.split(maxsplit=3) for line in lines)
            if (parent == ours and "ministack-lambda-" in program and function in program if function else pid == ours)
        ]

    def environment(self) -> dict[str, str]:
        """What the AWS CLI, SAM and the SDKs need to talk to this cloud."""
        return {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_DEFAULT_REGION": REGION,
        }

    def session(self) -> boto3.Session:
        """A session as the account's root user, whatever AWS settings this machine has."""
        session = botocore.session.Session(
            session_vars={"profile": (None, None, None, None), "config_file": (None, None, os.devnull, None)}
        )
        return boto3.Session(
            aws_access_key_id="test", aws_secret_access_key="test", region_name=REGION, botocore_session=session
        )

    def client(self, name: str) -> Any:
        """The client of the service, made once, which takes long; proxies are for what is not on this machine."""
        if name not in self._clients:
            config = Config(proxies={})
            self._clients[name] = self.session().client(name, endpoint_url=self.endpoint, config=config)  # type: ignore[call-overload]
        return self._clients[name]


@dataclass(frozen=True, slots=True)
class Stack:
    """A deployed stack."""

    cloud: Cloud
    name: str
    outputs: Mapping[str, str]

    def webhook(self) -> tuple[str, dict[str, str]]:
        """The webhook's URL as Python can open it, and the headers that say which API is meant: Python, unlike browsers
        and curl, looks up names under .localhost.
        """
        url = urlsplit(self.outputs["WebhookUrl"])
        return self.cloud.endpoint + url.path, {"Host": url.netloc}

    def logs(self, function: str) -> list[str]:
        """The log lines of the function in this folder of functions/, oldest first."""
        logical_id = "".join(word.capitalize() for word in function.split("_")) + "Function"
        resource = self.cloud.client("cloudformation").describe_stack_resource(
            StackName=self.name, LogicalResourceId=logical_id
        )
        name = resource["StackResourceDetail"]["PhysicalResourceId"]
        configuration = self.cloud.client("lambda").get_function_configuration(FunctionName=name)
        group = configuration.get("LoggingConfig", {}).get("LogGroup", f"/aws/lambda/{name}")
        logs = self.cloud.client("logs")
        try:
            pages = list(logs.get_paginator("filter_log_events").paginate(logGroupName=group))
        except logs.exceptions.ResourceNotFoundException:  # it has not run yet
            return []
        events = [event for page in pages for event in page["events"]]
        return [event["message"].rstrip() for event in sorted(events, key=lambda event: int(event["timestamp"]))]


def seconds_of(time_used: str) -> float:
    """The time that `ps` shows as 1-02:03:04 on Linux and as 1563:04.25 on macOS."""
    days, _, clock = time_used.rpartition("-")
    seconds = 0.0
    for part in clock.split(":"):
        seconds = seconds * 60 + float(part)
    return int(days or 0) * 86_400 + seconds


def free_port() -> int:
    """A loopback port that nobody listens on now."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


@contextmanager
def running_cloud(
    *, patched: bool = True, port: int = 0, functions_endpoint: str = "", keeps_state: bool = False
) -> Iterator[Cloud]:
    """Start MiniStack, with IAM enforced and functions on the bare runtime; end it and all its files and processes.

    The end comes also when this process dies without a word: MiniStack watches its standard input. Functions find AWS
    at `functions_endpoint`, if that is given; `keeps_state` lets it be restarted.

    Raises:
        CloudError: it did not start.

    """
    port = port or free_port()
    with TemporaryDirectory(prefix="jaas-archive-", ignore_cleanup_errors=True) as scratch:
        patches = ["--runtime-python", _installed(_RUNTIME_PYTHON)] if patched else ["--plain"]
        environment = _ministack_environment(port, scratch)
        if functions_endpoint:
            environment["AWS_ENDPOINT_URL"] = functions_endpoint
        if keeps_state:
            environment |= {"PERSIST_STATE": "1", "STATE_DIR": f"{scratch}/state", "STATE_KEPT_FILE": f"{scratch}/kept"}
            environment |= {"S3_PERSIST": "1", "S3_DATA_DIR": f"{scratch}/s3"}
        command = [sys.executable, "-m", "local.ministack", "--scratch", scratch, *patches]
        cloud = Cloud(f"http://127.0.0.1:{port}", _new_log(port), command, environment)
        try:
            cloud.start()
            yield cloud
        except BaseException as error:
            if cloud.exit_code is not None and not isinstance(error, CloudError):
                error.add_note(f"MiniStack has ended with {cloud.exit_code}; its log: {cloud.log_path}")
            raise
        finally:
            cloud.stop()


def _installed(program: Path) -> str:
    if not program.exists():
        raise CloudError(f"{program} is not there: `make demo` and `make test` install it before they start.")
    return str(program)


def _ministack_environment(port: int, scratch: str) -> dict[str, str]:
    return {
        "PATH": "/usr/bin:/bin",
        "HOME": scratch,
        "TMPDIR": scratch,
        "LANG": "C.UTF-8",
        "PYTHONUNBUFFERED": "1",
        "GATEWAY_PORT": str(port),
        "BIND_HOST": "127.0.0.1",
        "IOT_MTLS_ENABLED": "0",
        "SFTP_ENABLED": "0",
        "LOG_LEVEL": "WARNING",
        "AUTH": "true",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_EC2_METADATA_DISABLED": "true",
    }


def _wait_until_ready(endpoint: str, process: subprocess.Popen[bytes], log_path: Path) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise CloudError(f"MiniStack ended at once, with {process.returncode}.{_shown(log_path)}")
        connection = http.client.HTTPConnection(urlsplit(endpoint).netloc, timeout=1)
        try:
            connection.request("GET", "/_ministack/ready")
            if connection.getresponse().status == http.HTTPStatus.OK:
                return
        except OSError:
            pass
        finally:
            connection.close()
        time.sleep(0.05)
    raise CloudError(f"MiniStack was not ready after {_START_SECONDS} seconds.{_shown(log_path)}")


def _stop(process: subprocess.Popen[bytes]) -> None:
    if process.stdin:
        process.stdin.close()
    with suppress(subprocess.TimeoutExpired):
        process.wait(_STOP_SECONDS)
    _kill(process)


def _kill(process: subprocess.Popen[bytes]) -> None:
    """End it and the processes of its functions, which it may have left behind."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _new_log(port: int) -> Path:
    LOGS.mkdir(exist_ok=True)
    for old in sorted(LOGS.glob("ministack-*.log"), key=lambda path: path.stat().st_mtime)[: 1 - _KEPT_LOGS]:
        old.unlink(missing_ok=True)
    return LOGS / f"ministack-{port}.log"


def build() -> None:
    """Run `sam build`.

    Raises:
        CloudError: it failed.

    """
    _run_sam("build", "--cached", "--parallel", environment={})


def deploy(
    cloud: Cloud, stack_name: str = "jaas-archive", parameters: Mapping[str, str] = MappingProxyType({})
) -> Stack:
    """Run `sam deploy` on what was built, and do through the APIs what MiniStack's CloudFormation leaves out.

    Raises:
        CloudError: it failed.

    """
    # SAM could make the bucket, but two deploys at once then race for it.
    cloud.client("s3").create_bucket(Bucket=_ARTIFACTS_BUCKET)
    with _parameter_file({**_LOCAL_PARAMETERS, **parameters}) as overrides:
        _run_sam(
            *("deploy", "--template-file", ".aws-sam/build/template.yaml", "--stack-name", stack_name),
            *("--s3-bucket", _ARTIFACTS_BUCKET, "--s3-prefix", stack_name, "--region", REGION),
            *("--capabilities", "CAPABILITY_IAM", "--parameter-overrides", overrides),
            *("--no-confirm-changeset", "--no-fail-on-empty-changeset", "--no-progressbar"),
            environment=cloud.environment(),
        )
    _add_routes(cloud, stack_name)
    _set_concurrency(cloud)
    description = cloud.client("cloudformation").describe_stacks(StackName=stack_name)["Stacks"][0]
    outputs = {output["OutputKey"]: output["OutputValue"] for output in description.get("Outputs", [])}
    return Stack(cloud, stack_name, MappingProxyType(outputs))


@contextmanager
def _parameter_file(parameters: Mapping[str, str]) -> Iterator[str]:
    """SAM's command line has its own quoting of values; a file, in YAML or what is YAML too, needs none."""
    with TemporaryDirectory(prefix="jaas-archive-") as folder:
        path = Path(folder, "parameters.yaml")
        path.write_text(json.dumps(dict(parameters)))
        yield f"file://{path}"


def _run_sam(command: str, *arguments: str, environment: Mapping[str, str]) -> None:
    LOGS.mkdir(exist_ok=True)
    log_path = LOGS / f"sam-{command}.log"
    ours = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "PYTHON", "SAM_"))}
    with TemporaryDirectory(prefix="jaas-archive-") as folder, _one_at_a_time(), log_path.open("wb") as log:
        # The repository's samconfig.toml is for AWS; here everything is said on the command line.
        config_path = Path(folder, "samconfig.toml")
        config_path.write_text("version = 0.1\n")
        completed = subprocess.run(
            [_installed(_SAM_FOLDER / "sam"), command, *arguments, "--config-file", config_path],
            cwd=ROOT,
            env={
                **ours,
                "PATH": f"{_SAM_FOLDER}{os.pathsep}{ours.get('PATH', os.defpath)}",  # its Python is the functions' 3.13
                **_without_proxy(ours),
                "TMPDIR": folder,  # SAM leaves things behind
                "SAM_CLI_POLL_DELAY": "0.5",
                "SAM_CLI_TELEMETRY": "0",
                "AWS_CONFIG_FILE": os.devnull,
                "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
                **environment,
            },
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            check=False,
        )
    if completed.returncode:
        raise CloudError(f"`sam {command}` failed with {completed.returncode}.{_shown(log_path)}")


def _without_proxy(environment: Mapping[str, str]) -> dict[str, str]:
    """What is on this machine is not asked for at a proxy; some programs read the one spelling, some the other."""
    hosts = environment.get("no_proxy") or environment.get("NO_PROXY")
    return dict.fromkeys(("no_proxy", "NO_PROXY"), ",".join(filter(None, (hosts, "127.0.0.1", "localhost"))))


@contextmanager
def _one_at_a_time() -> Iterator[IO[str]]:
    """SAM works in .aws-sam, which two runs at once would take from under each other."""
    with (LOGS / "sam.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield lock


def _shown(log_path: Path) -> str:
    with log_path.open(errors="replace") as lines:
        end = "".join(deque(lines, maxlen=_SHOWN_LINES)).strip()
    return f" Its log, {log_path}, ends with:\n{end}" if end else f" Its log, {log_path}, is empty."


def _add_routes(cloud: Cloud, stack_name: str) -> None:
    """Create what the OpenAPI body of an AWS::Serverless::HttpApi describes; MiniStack's CloudFormation ignores it."""
    cloudformation, api_gateway = cloud.client("cloudformation"), cloud.client("apigatewayv2")
    template = cloudformation.get_template(StackName=stack_name, TemplateStage="Processed")["TemplateBody"]
    if isinstance(template, str):
        template = json.loads(template)
    resources = cloudformation.describe_stack_resources(StackName=stack_name)["StackResources"]
    physical_ids = {resource["LogicalResourceId"]: resource["PhysicalResourceId"] for resource in resources}
    for logical_id, resource in template["Resources"].items():
        paths = resource.get("Properties", {}).get("Body", {}).get("paths")
        if resource["Type"] != "AWS::ApiGatewayV2::Api" or not paths:
            continue
        api_id = physical_ids[logical_id]
        present = {route["RouteKey"] for route in api_gateway.get_routes(ApiId=api_id)["Items"]}
        for route_key, function in _routes(paths):
            if route_key in present:
                continue
            configuration = cloud.client("lambda").get_function_configuration(FunctionName=physical_ids[function])
            integration = api_gateway.create_integration(
                ApiId=api_id,
                IntegrationType="AWS_PROXY",
                IntegrationUri=configuration["FunctionArn"],
                PayloadFormatVersion="2.0",
            )
            target = f"integrations/{integration['IntegrationId']}"
            api_gateway.create_route(ApiId=api_id, RouteKey=route_key, Target=target)


def _routes(paths: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Pairs of route key and the logical id of its function."""
    for path, operations in paths.items():
        for method, operation in operations.items():
            verb = "ANY" if method.startswith("x-") else method.upper()
            uri = operation["x-amazon-apigateway-integration"]["uri"]["Fn::Sub"]
            function = re.search(r"\$\{(\w+)\.Arn\}", uri)
            if function is None:
                raise CloudError(f"{verb} {path} does not lead to a function: {uri}")
            yield path if path == "$default" else f"{verb} {path}", function[1]


def _set_concurrency(cloud: Cloud) -> None:
    """Say again how many functions may work on a queue: from a parameter MiniStack takes the number as text, and then
    does not poll.
    """
    client = cloud.client("lambda")
    for mapping in client.list_event_source_mappings()["EventSourceMappings"]:
        if scaling := mapping.get("ScalingConfig"):
            client.update_event_source_mapping(UUID=mapping["UUID"], ScalingConfig=scaling)
