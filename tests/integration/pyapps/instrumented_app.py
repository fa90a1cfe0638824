# SPDX-License-Identifier: Apache-2.0
"""A FastAPI application with prometheus-fastapi-instrumentator itself."""
from fastapi import FastAPI
from prometheus_fastapi_instrumentator import Instrumentator

app = FastAPI()


@app.get("/items/{item}")
async def item(item: int):
    return {"item": item}


@app.get("/health")
async def health():
    return {"status": "ok"}


Instrumentator(should_instrument_requests_inprogress=True).instrument(
    app).expose(app)
