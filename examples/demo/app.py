"""The web application: a route that reads the raw body, asks Knocker, and answers what it says.

KNOCKER_DB=knocker.db STRIPE_SECRET=... GITHUB_SECRET=... SLACK_SECRET=... uvicorn app:app
"""

import os

import knocker
from fastapi import FastAPI, Request, Response

app = FastAPI()
webhooks = knocker.open(os.environ["KNOCKER_DB"])

for name in ("stripe", "github", "slack"):
    webhooks.add_endpoint(
        name=name,
        path=f"/webhooks/{name}",
        provider=name,
        secrets=[os.environ[f"{name.upper()}_SECRET"]],
        backoff_base_s=1,  # a failed handler runs again after a second: the default of ten is long to watch
    )


@app.post("/webhooks/{endpoint}")
async def receive(endpoint: str, request: Request) -> Response:
    try:
        result = webhooks.receive(
            endpoint=endpoint,
            body=await request.body(),
            headers=dict(request.headers),
            query=request.url.query,
        )
    except knocker.UnknownEndpoint:
        return Response(status_code=404)
    return Response(
        content=result.response_body,
        status_code=result.status_code,
        headers=result.response_headers,
    )
