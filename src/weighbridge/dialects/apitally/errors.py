"""How this dialect words what went wrong: `{"detail": …}` as FastAPI does, faults of parameters as pydantic does."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from weighbridge.domain.errors import InvalidInputError, NotVisibleError, StorageError
from weighbridge.http.failures import NoRouteError, WrongMethodError, status_of
from weighbridge.http.route import Answer, Documented

if TYPE_CHECKING:
    from collections.abc import Sequence

    from weighbridge.http.route import Call

_INTERNAL = 500
_UNPROCESSABLE = 422


class Fault(msgspec.Struct, frozen=True, omit_defaults=True):
    """One fault of one parameter, in pydantic's form."""

    type: str
    loc: tuple[str, ...]
    msg: str
    input: Any = msgspec.UNSET
    ctx: dict[str, Any] | msgspec.UnsetType = msgspec.UNSET


class InvalidParametersError(InvalidInputError):
    """Parameters are at fault, each as `faults` says."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        super().__init__(faults[0].msg, where=faults[0].loc[-1])
        self.faults = tuple(faults)


def value_fault(where: str, detail: str, given: str | None, place: str = "query") -> Fault:
    """The fault of a value that is well formed and still cannot be; `place` is query, path or header."""
    return Fault("value_error", (place, where), f"Value error, {detail}", given, {"error": detail})


def refuse(call: Call, error: Exception) -> Answer:
    """The vendor's answer to an error."""
    status = status_of(error)
    if isinstance(error, InvalidInputError) and status == _UNPROCESSABLE:
        body: dict[str, Any] = {"detail": _faults(call, error)}
    else:
        body = {"detail": _sentence(error, status)}
    return Answer(status, msgspec.json.encode(body))


def _faults(call: Call, error: InvalidInputError) -> tuple[Fault, ...]:
    if isinstance(error, InvalidParametersError):
        return error.faults
    if error.where is None:
        return (Fault("value_error", ("query",), f"Value error, {error.detail}", None, {"error": error.detail}),)
    return (value_fault(error.where, error.detail, call.one(error.where)),)


def _sentence(error: Exception, status: int) -> str:
    if isinstance(error, NotVisibleError):
        return f"{error.kind.capitalize()} not found"
    if isinstance(error, NoRouteError):
        return "Not Found"
    if isinstance(error, WrongMethodError):
        return "Method Not Allowed"
    if status == _INTERNAL:
        return "Internal Server Error"
    if isinstance(error, StorageError):  # paths on the disk are for the log
        return "Service Unavailable"
    return str(error)


DETAIL_SCHEMA = {
    "title": "Error",
    "type": "object",
    "required": ["detail"],
    "additionalProperties": False,
    "properties": {"detail": {"type": "string", "description": "What went wrong, for a person."}},
}

VALIDATION_SCHEMA = {
    "title": "HTTPValidationError",
    "type": "object",
    "required": ["detail"],
    "additionalProperties": False,
    "properties": {
        "detail": {
            "title": "Detail",
            "type": "array",
            "minItems": 1,
            "items": {
                "title": "ValidationError",
                "type": "object",
                "required": ["loc", "msg", "type"],
                "additionalProperties": False,
                "properties": {
                    "loc": {"title": "Location", "type": "array", "items": {"type": ["string", "integer"]}},
                    "msg": {"title": "Message", "type": "string"},
                    "type": {"title": "Error Type", "type": "string"},
                    "input": {"title": "Input"},
                    "ctx": {"title": "Context", "type": "object"},
                },
            },
        },
    },
}

ERROR = Documented("An error", {"application/json": DETAIL_SCHEMA}, example={"detail": "App not found"})
VALIDATION_ERROR = Documented(
    "Validation Error",
    {"application/json": VALIDATION_SCHEMA},
    example={
        "detail": [
            {
                "type": "less_than_equal",
                "loc": ["query", "limit"],
                "msg": "Input should be less than or equal to 1000",
                "input": "5000",
                "ctx": {"le": 1000},
            },
        ],
    },
)
