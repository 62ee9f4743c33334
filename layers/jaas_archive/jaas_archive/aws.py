"""The one place where failures of AWS become our errors."""

from collections.abc import Iterator
from contextlib import contextmanager

from botocore.exceptions import BotoCoreError, ClientError

from jaas_archive.errors import AwsUnavailableError


def error_code(error: ClientError) -> str:
    """The service's code for what went wrong, such as `NoSuchUpload`; S3 answers to HEAD have only a status."""
    return error.response.get("Error", {}).get("Code", "unknown")


@contextmanager
def translated(doing: str) -> Iterator[None]:
    """Raise AwsUnavailableError for whatever boto3 raises inside.

    Every failure is worth another try, AccessDenied too: a policy can be mended while the message waits.
    """
    try:
        yield
    except ClientError as error:
        raise AwsUnavailableError(f"could not {doing}: {error_code(error)}") from error
    except BotoCoreError as error:
        raise AwsUnavailableError(f"could not {doing}: {type(error).__name__}") from error
