"""Asks a server over HTTP."""

from __future__ import annotations

import http.client
import json
from typing import Any
from urllib.parse import quote

from rnb.contract.termination import UsageError
from rnb.remote.address import Address
from rnb.remote.asking import ASK_TIMEOUT_S, Json, NotKnown

MOST_BYTES = 16 << 20
"""Of an answer."""
REASON_CHARACTERS = 300


class HttpAsker:
    """See Asker."""

    def __init__(self, address: Address) -> None:
        self._address = address

    def server(self) -> Json:
        return _object(self._get("/v2"))

    def model(self, name: str) -> Json:
        return _object(self._get(f"/v2/models/{quote(name)}"))

    def config(self, name: str) -> Json:
        return _object(self._get(f"/v2/models/{quote(name)}/config"))

    def statistics(self, name: str) -> list[Json]:
        return list(_object(self._get(f"/v2/models/{quote(name)}/stats")).get("model_stats", []))

    def _get(self, path: str) -> Any:
        connection = http.client.HTTPConnection(self._address.host, self._address.port, timeout=ASK_TIMEOUT_S)
        try:
            connection.request("GET", self._address.path + path)
            response = connection.getresponse()
            body = response.read(MOST_BYTES)
        except http.client.HTTPException:
            raise UsageError(f"--url {self._address}: what answers there does not speak HTTP") from None
        except OSError as error:
            reason = error.strerror or str(error)
            raise UsageError(f"--url {self._address}: nobody to talk to: {reason}") from None
        finally:
            connection.close()
        if response.status != http.HTTPStatus.OK:
            raise NotKnown(f"{response.status} {response.reason}: {error_text(body)}")
        try:
            return json.loads(body)
        except ValueError:
            raise NotKnown(f"what {self._address}{path} gives is not JSON") from None


def _object(value: Any) -> Json:
    if not isinstance(value, dict):
        raise NotKnown("the answer is no object")
    return value


def error_text(body: bytes) -> str:
    """What the body of an error says: its 'error' where it is the protocol's, in one line."""
    text = body[: 16 * REASON_CHARACTERS].decode(errors="replace")
    try:
        told = json.loads(body)
        if isinstance(told, dict):
            text = str(told.get("error") or told.get("detail") or text)
    except (ValueError, RecursionError):
        pass
    return " ".join(text.split())[:REASON_CHARACTERS]
