"""Requests to strangers' links: over HTTP(S) alone, to addresses of the public internet alone, redirects included.

A link decides where a machine connects to. Without this, a link to ``http://169.254.169.254/`` or to a service of the
local network would be followed from inside it.
"""

from __future__ import annotations

import http.client
import ipaddress
import socket
import urllib.request
from typing import Any


def public_opener() -> urllib.request.OpenerDirector:
    """An opener that connects to public addresses alone; of what it is redirected to as well.

    The address that is checked is the one connected to: a name that resolves otherwise the next time gains nothing.
    Proxies of the environment are not used, since they would connect in its place.
    """
    opener = urllib.request.OpenerDirector()
    handlers: tuple[urllib.request.BaseHandler, ...] = (
        urllib.request.HTTPDefaultErrorHandler(),
        urllib.request.HTTPRedirectHandler(),
        urllib.request.HTTPErrorProcessor(),
        urllib.request.UnknownHandler(),
        _PublicHttp(),
        _PublicHttps(),
    )
    for handler in handlers:
        opener.add_handler(handler)
    return opener


def _connect(address: tuple[str, int], timeout: Any = None, *_: Any) -> socket.socket:
    host, port = address
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    error = OSError(f"{host} has no address")
    for family, kind, protocol, _name, place in found:
        # Written within IPv6, an IPv4 address is that address.
        numeric = ipaddress.ip_address(str(place[0]).partition("%")[0])
        numeric = getattr(numeric, "ipv4_mapped", None) or numeric
        if not numeric.is_global or numeric.is_multicast:
            raise OSError(f"{host} is at {numeric}, which is no public address")
        connection = socket.socket(family, kind, protocol)
        try:
            connection.settimeout(timeout if isinstance(timeout, int | float) else None)
            connection.connect(place)
        except OSError as failure:
            connection.close()
            error = failure
        else:
            return connection
    raise error


class _Connection(http.client.HTTPConnection):
    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._create_connection = _connect


class _SafeConnection(http.client.HTTPSConnection):
    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._create_connection = _connect


class _PublicHttp(urllib.request.HTTPHandler):
    def http_open(self, req: urllib.request.Request) -> Any:
        return self.do_open(_Connection, req)


class _PublicHttps(urllib.request.HTTPSHandler):
    def https_open(self, req: urllib.request.Request) -> Any:
        return self.do_open(_SafeConnection, req)
