"""requests (and kucoin-python, ccxt): answered where a request is whole, or before it is made.

Two seams. `HTTPAdapter.send` gets a prepared request and returns what the library would have built; it leaves
to urllib3, whose connections are emulated too, what urllib3 decides (retries, certificates, bodies in pieces).
`Session.request` answers plain GETs of plain sessions, which are nearly all that a bot asks, without the work
of the layers between; every other request takes the library's own way.
"""

from __future__ import annotations

import datetime as dt
import functools
import io
import os
import sys
from typing import Any, NoReturn

from _replay_shim.hooks import on_import
from _replay_shim.http_answer import Answer, Answers, failure_error, split_url

__all__ = ["install"]

_URLS_MAX = 4096
_PLAIN_STATUS_MAX = 300  # from here on, redirects


def install(answers: Answers) -> None:
    """Take over adapters and sessions of requests when they are imported."""
    adapters: list[_Adapters] = []

    def take_over_adapters(module: Any) -> None:
        adapters[:] = [_Adapters(answers, module)]
        adapters[0].install()

    def take_over_sessions(module: Any) -> None:
        _Sessions(answers, adapters[0], module).install()

    on_import("requests.adapters", take_over_adapters)
    on_import("requests.sessions", take_over_sessions)


class _Adapters:
    """`HTTPAdapter.send`, by way of the orchestrator."""

    def __init__(self, answers: Answers, module: Any) -> None:
        self.answers = answers
        self.module = module
        self.http_response = sys.modules["urllib3.response"].HTTPResponse
        self.send_natively = module.HTTPAdapter.send

    def install(self) -> None:
        takes = self

        @functools.wraps(self.send_natively)
        def send(
            self: Any,
            request: Any,
            stream: bool = False,
            timeout: Any = None,
            verify: Any = True,
            cert: Any = None,
            proxies: Any = None,
        ) -> Any:
            return takes.send(self, request, stream, timeout, verify, cert, proxies)

        self.module.HTTPAdapter.send = send

    def send(
        self, adapter: Any, request: Any, stream: Any, timeout: Any, verify: Any, cert: Any, proxies: Any
    ) -> Any:
        body = request.body
        if isinstance(body, str):
            body = body.encode("utf-8")
        seconds = read_timeout(timeout)
        is_whole = body is None or isinstance(body, (bytes, bytearray))
        if not is_whole or verify is False or cert or seconds is _UNKNOWN or not never_retries(adapter):
            return self.send_natively(adapter, request, stream, timeout, verify, cert, proxies)
        split = split_url(request.url)
        if split[0] not in ("http", "https") or not split[1]:
            return self.send_natively(adapter, request, stream, timeout, verify, cert, proxies)
        adapter.add_headers(
            request, stream=stream, timeout=timeout, verify=verify, cert=cert, proxies=proxies
        )
        scheme, host, port, path = split
        name = f"[{host}]" if ":" in host else host
        url = f"{scheme}://{name}" + (f":{port}" if port else "") + path
        answer = self.answers.ask(
            "requests", request.method, url, request.headers.items(), bytes(body or b""), seconds
        )
        if answer.failure is not None:
            self.fail(request, answer, seconds)
        return adapter.build_response(request, self.raw(request.method, answer))

    def raw(self, method: str, answer: Answer) -> Any:
        """Return the answer as the urllib3 response from which requests builds its own."""
        body = b"" if method == "HEAD" else answer.body
        message = _cookie_message(answer)
        return self.http_response(
            body=io.BytesIO(body),
            headers=_raw_headers(answer),
            status=answer.status,
            version=11,
            reason=answer.reason,
            preload_content=False,
            decode_content=False,
            original_response=None if message is None else _Original(message),
            request_method=method,
        )

    def fail(self, request: Any, answer: Answer, timeout: float | None) -> NoReturn:
        """Raise what requests raises when no answer comes."""
        module = self.module
        scheme, host, port, path = split_url(request.url)
        pools = sys.modules["urllib3.connectionpool"]
        pool = (pools.HTTPSConnectionPool if scheme == "https" else pools.HTTPConnectionPool)(host, port)
        errors: Any = sys.modules["urllib3.exceptions"]
        cause = failure_error(answer)
        if answer.failure == "timeout":
            text = f"Read timed out. (read timeout={timeout})"
            raise module.ReadTimeout(errors.ReadTimeoutError(pool, path, text), request=request) from cause
        if answer.failure == "reset":
            raise module.ConnectionError(
                errors.ProtocolError("Connection aborted.", cause), request=request
            ) from cause
        connection = pool.ConnectionCls(host=pool.host, port=pool.port)
        reason = errors.NewConnectionError(connection, f"Failed to establish a new connection: {cause}")
        raise module.ConnectionError(errors.MaxRetryError(pool, path, reason), request=request) from cause


class _Sessions:
    """`Session.request`, for plain GETs of plain sessions."""

    def __init__(self, answers: Answers, adapters: _Adapters, module: Any) -> None:
        self.answers = answers
        self.adapters = adapters
        self.module = module
        self.session_type = module.Session
        self.adapter_type = adapters.module.HTTPAdapter
        self.adapter_send = adapters.module.HTTPAdapter.send
        self.request_natively = module.Session.request
        self.own = {
            name: getattr(module.Session, name) for name in ("send", "prepare_request", "get_adapter")
        }
        self.urls: dict[Any, str] = {}  # what was asked -> prepared
        self.valid_names: set[str] = set()
        self.headers_type = module.CaseInsensitiveDict
        self.response_type = adapters.module.Response
        self.has_netrc = _has_netrc()

    def install(self) -> None:
        fast = self

        @functools.wraps(self.request_natively)
        def request(  # noqa: PLR0917 - the library's own signature
            self: Any,
            method: Any,
            url: Any,
            params: Any = None,
            data: Any = None,
            headers: Any = None,
            cookies: Any = None,
            files: Any = None,
            auth: Any = None,
            timeout: Any = None,
            allow_redirects: Any = True,
            proxies: Any = None,
            hooks: Any = None,
            stream: Any = None,
            verify: Any = None,
            cert: Any = None,
            json: Any = None,
        ) -> Any:
            if (
                (method in {"GET", "get"})
                and not (data or cookies or files or auth or hooks or cert or proxies)
                and json is None
                and (verify is None or verify is True)
                and fast.is_plain(self)
            ):
                response = fast.get(self, url, params, headers, timeout, allow_redirects, stream)
                if response is not None:
                    return response
            return fast.request_natively(
                self, method, url, params, data, headers, cookies, files, auth, timeout, allow_redirects,
                proxies, hooks, stream, verify, cert, json,
            )  # fmt: skip

        self.session_type.request = request

    def is_plain(self, session: Any) -> bool:
        """Return whether nothing about the session, nor a change to the library, bears on a GET."""
        kind = self.session_type
        own = self.own
        return (
            type(session) is kind
            and session.auth is None
            and not session.params
            and not session.proxies
            and session.verify is True
            and session.cert is None
            and type(session.cookies) is self.module.RequestsCookieJar
            and not session.cookies._cookies
            and not session.hooks.get("response")
            and not (session.trust_env and self.has_netrc)
            and kind.send is own["send"]
            and kind.prepare_request is own["prepare_request"]
            and kind.get_adapter is own["get_adapter"]
            and self.adapter_type.send is self.adapter_send
        )

    def get(
        self,
        session: Any,
        url: Any,
        params: Any,
        headers: Any,
        timeout: Any,
        allow_redirects: Any,
        stream: Any,
    ) -> Any:
        """Return the response to a GET; None where the library's own way must be taken."""
        prepared_url = self.prepared_url(url, params)
        seconds = read_timeout(timeout)
        prepared_headers = self.prepared_headers(session.headers, headers)
        if prepared_url is None or prepared_headers is None or seconds is _UNKNOWN:
            return None
        adapter = session.get_adapter(prepared_url)
        if type(adapter) is not self.adapter_type or not never_retries(adapter):
            return None
        module = self.module
        request = module.PreparedRequest()
        request.method = "GET"
        request.url = prepared_url
        request.headers = prepared_headers
        request._cookies = module.RequestsCookieJar()
        clock = self.answers.clock
        start_ns = clock.now_ns()
        answer = self.answers.recall(prepared_url)
        if answer is None:
            answer = self.answers.ask("requests", "GET", prepared_url, request.headers.items(), b"", seconds)
        if answer.failure is not None:
            self.adapters.fail(request, answer, seconds)
        is_streamed = session.stream if stream is None else stream
        is_known = not is_streamed and "requests" in answer.known
        if is_known:
            response = self.known_response(answer)
        else:
            response = adapter.build_response(request, self.adapters.raw("GET", answer))
        response.request = request
        response.url = prepared_url
        response.connection = adapter
        response.elapsed = dt.timedelta(microseconds=(clock.now_ns() - start_ns) / 1000)
        if is_known:
            return response
        if answer.status >= _PLAIN_STATUS_MAX or "set-cookie" in response.headers:
            return self.follow(session, request, response, allow_redirects, is_streamed, timeout)
        if not is_streamed:
            response.content  # noqa: B018 - reading it is what is asked for
            if answer.valid_until_ns is not None:
                answer.known["requests"] = dict(vars(response))
                return self.known_response(answer, response)
        return response

    def known_response(self, answer: Answer, response: Any = None) -> Any:
        """Return the response to an answer that was given before, read to its end like the first one.

        What a program may change is its own copy; the urllib3 response, of which nothing is left to read, is
        shared.
        """
        if response is None:
            response = self.response_type.__new__(self.response_type)
        fields = vars(response)
        fields.update(answer.known["requests"])
        fields["headers"] = self.copied(fields["headers"])
        fields["history"] = []
        fields["cookies"] = self.module.RequestsCookieJar()
        return response

    def copied(self, headers: Any) -> Any:
        """Return a copy of a CaseInsensitiveDict."""
        copy = self.headers_type.__new__(self.headers_type)
        copy._store = headers._store.copy()
        return copy

    def prepared_headers(self, own: Any, given: Any) -> Any:
        """Return the headers of a session and a request as the library would send them; None if not plain."""
        if type(own) is not self.headers_type or (given is not None and type(given) is not dict):
            return None
        merged = self.copied(own)
        store = merged._store
        if given:
            for name, value in given.items():
                if type(name) is not str:
                    return None
                store[name.lower()] = (name, value)
        valid = self.valid_names
        for name, value in store.values():
            if type(value) is not str or not value.isprintable() or value[:1] == " ":
                return None
            if name not in valid:
                if not name.isascii() or not name.replace("-", "").isalnum():
                    return None
                valid.add(name)
        return merged

    def prepared_url(self, url: Any, params: Any) -> str | None:
        """Return the address as the library would send it; None if it is not plain."""
        if type(url) is not str or "#" in url:
            return None
        key: Any = url
        if params:
            if type(params) is not dict:
                return None
            for name, value in params.items():
                if type(name) is not str or (type(value) is not str and type(value) is not int):
                    return None
            key = (url, *params.items())
        prepared = self.urls.get(key)
        if prepared is None:
            if not url.lower().startswith(("http://", "https://")) or "@" in url:
                return None
            request = self.module.PreparedRequest()
            request.prepare_url(url, params or {})
            if len(self.urls) >= _URLS_MAX:
                self.urls.clear()
            prepared = self.urls[key] = str(request.url)
        return prepared

    def follow(
        self, session: Any, request: Any, response: Any, allow_redirects: Any, stream: Any, timeout: Any
    ) -> Any:
        """Return what `Session.send` makes of a response with cookies or a redirect."""
        self.adapters.module.extract_cookies_to_jar(session.cookies, request, response.raw)
        send = {"stream": stream, "timeout": timeout, "verify": True, "cert": None, "proxies": {}}
        if allow_redirects:
            history = list(session.resolve_redirects(response, request, **send))
            if history:
                history.insert(0, response)
                response = history.pop()
                response.history = history
        else:
            response._next = next(
                session.resolve_redirects(response, request, yield_requests=True, **send), None
            )
        if not stream:
            response.content  # noqa: B018 - reading it is what is asked for
        return response


_UNKNOWN: Any = object()


def read_timeout(timeout: Any) -> Any:
    """Return after how many seconds the client gives up, None for never; `_UNKNOWN` if urllib3 has to say."""
    if timeout is None:
        return None
    if type(timeout) is tuple and len(timeout) == 2:
        if read_timeout(timeout[0]) is _UNKNOWN:
            return _UNKNOWN
        timeout = timeout[1]
        if timeout is None:
            return None
    if (type(timeout) is int or type(timeout) is float) and timeout > 0:
        return timeout
    return _UNKNOWN


def never_retries(adapter: Any) -> bool:
    """Return whether an adapter leaves every answer as it is."""
    retries = adapter.max_retries
    return retries.total == 0 and retries.read is False and not retries.status_forcelist


def _has_netrc() -> bool:
    home = os.path.expanduser("~")  # noqa: PTH111 - pathlib costs every child its import
    names = [os.environ.get("NETRC"), f"{home}/.netrc", f"{home}/_netrc"]
    return any(name and os.path.exists(name) for name in names)  # noqa: PTH110 - the same


class _Original:
    """What cookies are read from: the answer as http.client had parsed it."""

    def __init__(self, message: Any) -> None:
        self.msg = message

    def isclosed(self) -> bool:
        return True

    def close(self) -> None:
        """Nothing is open."""


def _cookie_message(answer: Answer) -> Any:
    known = answer.known
    if "cookies" not in known:
        has_cookies = any(name.lower() == "set-cookie" for name, _ in answer.headers)
        message = None
        if has_cookies:
            message = sys.modules["http.client"].HTTPMessage()
            for name, value in answer.headers:
                message[name] = value
        known["cookies"] = message
    return known["cookies"]


def _raw_headers(answer: Answer) -> Any:
    known = answer.known
    if "urllib3" not in known:
        headers: Any = sys.modules["urllib3._collections"].HTTPHeaderDict()
        for name, value in answer.headers:
            headers.add(name, value)
        known["urllib3"] = headers
    return known["urllib3"].copy()
