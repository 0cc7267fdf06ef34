from __future__ import annotations

import pytest

from weighbridge.domain import errors
from weighbridge.http import failures
from weighbridge.http.failures import STORAGE_RETRY_S, retry_after_s, status_of


@pytest.mark.parametrize(
    ("exc", "status", "wait_s"),
    [
        (errors.InvalidInputError("x"), 422, None),
        (errors.UnknownZoneError("x"), 422, None),
        (errors.OutOfRangeError("x"), 422, None),
        (errors.InvalidDocumentError([(None, "x")]), 422, None),
        (failures.UnreadableBodyError("x"), 400, None),
        (errors.NotVisibleError("server", "x"), 404, None),
        (errors.NotPermittedError("ingest"), 403, None),
        (errors.NotAuthenticatedError("x"), 401, None),
        (errors.ConflictError("x"), 409, None),
        (errors.BusyError("x", retry_after_s=3), 503, 3),
        (errors.BusyError("x", retry_after_s=0), 503, 1),
        (errors.StorageError("x"), 503, STORAGE_RETRY_S),
        (errors.DiskFullError("x"), 503, STORAGE_RETRY_S),
        (errors.WeighbridgeError("x"), 500, None),
        (failures.NoRouteError("x"), 404, None),
        (failures.WrongMethodError(("GET",)), 405, None),
        (failures.TooLargeError("x"), 413, None),
        (failures.WrongContentTypeError("x"), 415, None),
        (failures.RateLimitedError(9, 60, 60), 429, 9),
        (failures.InternalError("x"), 500, None),
        (ValueError("x"), 500, None),
    ],
)
def test_status_and_wait(exc: Exception, status: int, wait_s: int | None) -> None:
    assert (status_of(exc), retry_after_s(exc)) == (status, wait_s)
