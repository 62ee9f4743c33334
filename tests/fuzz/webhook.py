"""Coverage-guided fuzzing of the webhook: whatever comes, it is answered, and nothing unsigned is taken.

`make fuzz` runs it for five minutes; SECONDS=… says how long.
"""

import sys

import atheris

with atheris.instrument_imports(include=["jaas_archive"]):
    from jaas_archive.choices import EVERYTHING
    from jaas_archive.credentials import Credentials
    from jaas_archive.receiving import Receiver, read_request
    from jaas_archive.signature import sign

SECRET = "whsec_0123456789abcdef0123456789abcdef"
NOW = 1719366173.0


class Secrets:
    """One secret that never changes."""

    def current(self) -> Credentials:
        return Credentials((SECRET,))

    fresh = current


class Kept:
    """Takes the place of the queues, and remembers that something came."""

    def __init__(self) -> None:
        self.messages = 0

    def send(self, _body: str) -> None:
        self.messages += 1

    def put(self, _body: str) -> None:
        raise AssertionError("no input is so large")


kept = Kept()
receiver = Receiver(Secrets(), kept, kept, kept, EVERYTHING, 86400, frozenset(), clock=lambda: NOW)  # type: ignore[arg-type]


def one_input(data: bytes) -> None:
    provider = atheris.FuzzedDataProvider(data)
    signed = provider.ConsumeBool()
    header = provider.ConsumeUnicode(200)
    authorization = provider.ConsumeUnicode(20)
    encoded = provider.ConsumeBool()
    body = provider.ConsumeBytes(provider.remaining_bytes())
    if signed:
        header, encoded = f"t={int(NOW)},v1={sign(SECRET, str(int(NOW)), body)}", False
        if body.decode("utf-8", "replace").encode() != body:
            return
    event = {
        "headers": {"X-Jaas-Signature": header, "authorization": authorization},
        "body": body.decode("utf-8", "replace"),
        "isBase64Encoded": encoded,
    }
    before = kept.messages
    answer = receiver.answer(read_request(event))
    if signed:
        assert answer.status in (200, 202, 400), answer
        assert answer.status == 200 or kept.messages > before, answer
    else:
        assert answer.status == 401 or (answer.status, answer.content) == (200, {}), answer
        assert kept.messages == before, answer


if __name__ == "__main__":
    atheris.Setup(sys.argv, one_input)
    atheris.Fuzz()
