"""Network addresses: which of them are on the public internet."""

from ipaddress import ip_address, ip_network

# Written out instead of `is_global`, which changes between releases of Python and takes multicast for global.
# https://www.iana.org/assignments/iana-ipv4-special-registry, https://www.iana.org/assignments/iana-ipv6-special-registry
_NOT_PUBLIC_V4 = tuple(
    map(
        ip_network,
        (
            "0.0.0.0/8",
            "10.0.0.0/8",
            "100.64.0.0/10",  # shared by carriers (CGNAT), and of a cloud's inside
            "127.0.0.0/8",
            "169.254.0.0/16",  # link-local: the metadata and credentials of clouds
            "172.16.0.0/12",
            "192.0.0.0/24",
            "192.0.2.0/24",
            "192.31.196.0/24",
            "192.52.193.0/24",
            "192.88.99.0/24",  # relays into 6to4
            "192.168.0.0/16",
            "192.175.48.0/24",
            "198.18.0.0/15",
            "198.51.100.0/24",
            "203.0.113.0/24",
            "224.0.0.0/3",  # multicast, reserved, broadcast
        ),
    )
)
_PUBLIC_V6 = ip_network("2000::/3")
"""All that was ever given out. Outside lie the forms that hold an IPv4 address: mapped, compatible, NAT64."""
_NOT_PUBLIC_V6 = tuple(
    map(
        ip_network,
        (
            "2001::/23",  # Teredo, which holds IPv4 addresses, and other protocols
            "2001:db8::/32",
            "2002::/16",  # 6to4, which holds IPv4 addresses
            "2620:4f:8000::/48",
            "3fff::/20",
        ),
    )
)


def is_public(address: str) -> bool:
    """Whether an address, as the resolver writes it, is one of the public internet and of a single machine."""
    number = ip_address(address)
    if number.version == 4:  # noqa: PLR2004 - the number of the protocol
        return not any(number in network for network in _NOT_PUBLIC_V4)
    return number in _PUBLIC_V6 and not any(number in network for network in _NOT_PUBLIC_V6)
