"""httpx: its transports, the layer that a client hands a whole request to."""

from __future__ import annotations

from typing import Any

from _replay_shim.hooks import on_import
from _replay_shim.http_answer import Answer, Answers, failure_error

__all__ = ["install"]


def install(answers: Answers) -> None:
    """Take over the transports of httpx, sync and async, when they are imported."""

    def take_over(module: Any) -> None:
        def handle_request(self: Any, request: Any) -> Any:  # noqa: ARG001 - the library's signature
            body = b"".join(request.stream)
            return _response(module, request, answers.ask(*_question(request, body)))

        async def handle_async_request(self: Any, request: Any) -> Any:  # noqa: ARG001 - the library's signature
            body = b"".join([part async for part in request.stream])
            return _response(module, request, await answers.ask_in_task(*_question(request, body)))

        module.HTTPTransport.handle_request = handle_request
        module.AsyncHTTPTransport.handle_async_request = handle_async_request

    on_import("httpx._transports.default", take_over)


def _question(request: Any, body: bytes) -> Any:
    timeouts = request.extensions.get("timeout") or {}
    url = request.url
    address = f"{url.scheme}://{url.netloc.decode('ascii')}{url.raw_path.decode('ascii')}"
    return "httpx", request.method, address, request.headers.raw, body, timeouts.get("read")


def _response(module: Any, request: Any, answer: Answer) -> Any:
    if answer.failure is not None:
        cause = failure_error(answer)
        kinds = {"timeout": module.ReadTimeout, "reset": module.ReadError}
        raise kinds.get(answer.failure, module.ConnectError)(str(cause), request=request) from cause
    stream = module.Response(200, content=b"" if request.method == "HEAD" else answer.body).stream
    return module.Response(
        status_code=answer.status,
        headers=[(name.encode("latin-1"), value.encode("latin-1")) for name, value in answer.headers],
        stream=stream,
        extensions={"http_version": b"HTTP/1.1", "reason_phrase": answer.reason.encode("latin-1", "replace")},
    )
