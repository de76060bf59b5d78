"""Asking a server: retries, certificates, and why it did not answer."""

from __future__ import annotations

import warnings
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter
from urllib3.exceptions import InsecureRequestWarning
from urllib3.util import Retry

from mgi.addresses import shown
from mgi.weights.indexes import Access

TIMEOUT_S = 60
RETRIES = Retry(3, backoff_factor=0.1, status_forcelist=(500, 502, 503, 504), raise_on_status=False)


def get(address: str, headers: dict[str, str], access: Access | None = None) -> requests.Response:
    """The answer to a GET of `address`, with its body not yet read; close it.

    Args:
        address: an http or https address; user and password may be part of it, otherwise `.netrc` is read.
        headers: of the request.
        access: the certificates, proxy and trusted hosts of package indexes; None: what `requests` finds itself.

    Raises:
        requests.RequestException: no answer.
    """
    access = access or Access()
    verify: bool | str = access.certificate or True
    trusted = access.trusts(address)
    with requests.Session() as session, warnings.catch_warnings():
        session.mount("http://", HTTPAdapter(max_retries=RETRIES))
        session.mount("https://", HTTPAdapter(max_retries=RETRIES))
        if trusted:  # the user chose that by name: no warning at every request
            warnings.simplefilter("ignore", InsecureRequestWarning)
        proxies = {"http": access.proxy, "https": access.proxy} if access.proxy else None
        return session.get(
            address,
            headers=headers,
            stream=True,
            timeout=TIMEOUT_S,
            verify=False if trusted else verify,
            proxies=proxies,
        )


def reason(error: Exception) -> str:
    """Why a request failed, in a few words without secrets."""
    if isinstance(error, requests.HTTPError) and error.response is not None:
        return shown(f"{error.response.url} answered {error.response.status_code}")
    if isinstance(error, requests.exceptions.SSLError) and error.request is not None:
        host = urlsplit(str(error.request.url)).hostname
        return f"the certificate of {host} is not trusted; name its authority in REQUESTS_CA_BUNDLE or PIP_CERT"
    if isinstance(error, requests.RequestException) and error.request is not None:
        kind = "no answer from" if isinstance(error, requests.Timeout) else "no connection to"
        return shown(f"{kind} {error.request.url!s}")
    return shown(" ".join(str(error).split()))
