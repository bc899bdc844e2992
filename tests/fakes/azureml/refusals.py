"""Refusals as Azure words them."""

from __future__ import annotations

from typing import Any


class Refused(Exception):
    """An answer that is an error."""

    def __init__(self, status: int, code: str, message: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(message)
        self.status, self.code, self.message, self.headers = status, code, message, headers or {}

    def body(self) -> dict[str, Any]:
        return {"error": {"code": self.code, "message": self.message}}

    def mlflow_body(self) -> dict[str, Any]:
        """Return the error as the workspace's MLflow endpoint words it."""
        kind = "RESOURCE_DOES_NOT_EXIST" if self.status == 404 else "INVALID_PARAMETER_VALUE"
        return {
            "error_code": kind,
            "message": f"Response: {{'Error': {{'Code': '{self.code}', 'Message': '{self.message}'}}}}",
        }


def not_found(what: str) -> Refused:
    return Refused(404, "UserError", f"Could not find {what}")
