"""An answer of the service that is not a success."""

from __future__ import annotations

STATUS = {"SERVER": 500, "LIMIT": 429, "LOGIN": 401}


class OsmoError(Exception):
    """``code`` is OSMO's error code; most are answered with 400, those in :data:`STATUS` with another status."""

    def __init__(self, code: str, message: str, workflow_id: str | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.workflow_id = workflow_id

    @property
    def status(self) -> int:
        return STATUS.get(self.code, 400)

    def body(self) -> dict[str, str]:
        body = {"message": self.message}
        if self.code not in STATUS:
            body["error_code"] = self.code
        if self.workflow_id:
            body["workflow_id"] = self.workflow_id
        return body


class Unrecorded(OsmoError):
    """A refusal of which the service keeps no row."""
