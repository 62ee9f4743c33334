import pytest

from jaas_archive.errors import LinkRefusedError
from jaas_archive.links import parse_origins

DEFAULT = ("https://*.oraclecloud.com", "https://*.8x8.vc", "https://*.amazonaws.com")
ORIGINS = parse_origins([*DEFAULT, "http://127.0.0.1:8080"])


@pytest.mark.parametrize(
    "link",
    [
        "https://objectstorage.us-phoenix-1.oraclecloud.com/p/x/o/y",
        "https://objectstorage.us-phoenix-1.oraclecloud.com:443/p",
        "https://EU.8X8.VC/list",
        "http://127.0.0.1:8080/p",
    ],
)
def test_allows_links_on_allowed_origins(link: str) -> None:
    ORIGINS.check(link)


@pytest.mark.parametrize(
    "link",
    [
        "http://objectstorage.us-phoenix-1.oraclecloud.com/p",
        "https://oraclecloud.com/p",
        "https://oraclecloud.com.evil.example/p",
        "https://eviloraclecloud.com/p",
        "https://x.oraclecloud.com:8443/p",
        "https://x.oraclecloud.com@evil.example/p",
        "https://user:secret@x.oraclecloud.com/p",
        "https://evil.example\\.oraclecloud.com/p",
        "https://evil.example#.oraclecloud.com/p",
        "https://evil.example/?.oraclecloud.com",
        "https://.oraclecloud.com/p",
        "http://127.0.0.1:8081/p",
        "http://127.0.0.1/p",
        "http://169.254.169.254/latest",
        "file:///etc/passwd",
        "ftp://x.oraclecloud.com/p",
        "https://x.oraclecloud.com\n.evil.example/p",
        "https://[::1]/p",
        "https://[",
        "https://x.oraclecloud.com:99999/p",
        "//x.oraclecloud.com/p",
        "",
        "https://x\u3002oraclecloud.com/p",
    ],
)
def test_refuses_all_others(link: str) -> None:
    with pytest.raises(LinkRefusedError):
        ORIGINS.check(link)
