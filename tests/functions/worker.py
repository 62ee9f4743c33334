"""A downloader in a process of its own, to be killed: handles the SQS event on its standard input."""

import json
import sys

from functions.downloader import app
from tests.functions.conftest import context

if __name__ == "__main__":
    app.handler(json.load(sys.stdin), context())
