"""FastAPI with the OpenTelemetry SDK and nothing of Apitally's: PORT ENVIRONMENT WRITE_TOKEN.

Destination, interval, temporality and names are in the SDK's own variables: OTEL_EXPORTER_OTLP_ENDPOINT,
OTEL_METRIC_EXPORT_INTERVAL, OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE, OTEL_SEMCONV_STABILITY_OPT_IN.
"""

from __future__ import annotations

import sys
from contextlib import asynccontextmanager

import uvicorn
from fastapi import FastAPI, Request
from fastapi.responses import PlainTextResponse, StreamingResponse
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource

PORT, ENVIRONMENT, WRITE_TOKEN = int(sys.argv[1]), sys.argv[2], sys.argv[3]

exporter = OTLPMetricExporter(headers={"Authorization": f"Bearer {WRITE_TOKEN}"})
provider = MeterProvider(
    [PeriodicExportingMetricReader(exporter)], Resource.create({"deployment.environment.name": ENVIRONMENT})
)


@asynccontextmanager
async def sending_the_rest(_):
    yield
    provider.shutdown()


app = FastAPI(lifespan=sending_the_rest)


@app.get("/items/{number}")
async def item(number: str, size: int):
    return PlainTextResponse("x" * size)


@app.post("/upload")
async def upload(request: Request):
    return PlainTextResponse(str(len(await request.body())))


@app.get("/stream")
async def stream(chunks: int, size: int, length: bool = False):
    headers = {"content-length": str(chunks * size)} if length else {}
    return StreamingResponse((b"x" * size for _ in range(chunks)), headers=headers, media_type="text/plain")


@app.get("/healthz")
async def healthz():
    return PlainTextResponse("ok")


@app.get("/broken")
async def broken():
    raise RuntimeError("broken on purpose")


FastAPIInstrumentor.instrument_app(app, meter_provider=provider)

if __name__ == "__main__":
    uvicorn.run(app, host="127.0.0.1", port=PORT, log_level="warning")
