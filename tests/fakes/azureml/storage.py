"""The workspace's storage account, which a real Azurite serves."""

from __future__ import annotations

import re
from urllib.parse import quote

import httpx

from ..azurite import HOST, Azurite


class Storage:
    """Blobs, written and read past the proxy; the addresses that are handed out lead through it."""

    def __init__(self, blobs: Azurite) -> None:
        self._blobs = blobs
        self._http = httpx.Client(
            base_url=f"https://127.0.0.1:{blobs.port}",
            verify=False,
            timeout=60,
            trust_env=False,
            headers={"Host": HOST},
        )

    def make_container(self, name: str) -> str:
        """Make a container and return its address."""
        made = self._http.put(f"/{name}?restype=container&{self._blobs.sas()}")
        assert made.status_code in (201, 409), made.text
        return f"https://{HOST}/{name}"

    def signed(self, address: str) -> str:
        return f"{address}?{self._blobs.sas()}"

    def address(self, container: str, path: str) -> str:
        return f"https://{HOST}/{container}/{quote(path)}"

    def put(self, container: str, path: str, content: bytes) -> str:
        """Write a blob and return an address that opens it."""
        headers = {"x-ms-blob-type": "BlockBlob"}
        done = self._http.put(f"/{container}/{quote(path)}?{self._blobs.sas()}", content=content, headers=headers)
        assert done.status_code == 201, done.text
        return self.signed(self.address(container, path))

    def list(self, container: str, prefix: str) -> list[str]:
        query = f"restype=container&comp=list&prefix={quote(prefix, safe='')}&{self._blobs.sas()}"
        answer = self._http.get(f"/{container}?{query}")
        assert answer.status_code == 200, answer.text
        return re.findall(r"<Name>([^<]+)</Name>", answer.text)

    def get(self, container: str, path: str) -> bytes:
        answer = self._http.get(f"/{container}/{quote(path)}?{self._blobs.sas()}")
        assert answer.status_code == 200, answer.text
        return answer.content
