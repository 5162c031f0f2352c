"""requests, the short way: plain GETs of plain sessions, which are nearly all that a bot asks.

What is not plain (cookies, hooks, sessions and adapters of the bot's own …) takes the library's own way to
`HTTPAdapter.send`. The way of a plain one costs a tenth; a test compares what both return.
"""

from __future__ import annotations

import datetime as dt
import functools
import os
from typing import TYPE_CHECKING, Any

from _replay_shim.http_requests_timeouts import UNKNOWN, never_retries, read_timeout

if TYPE_CHECKING:
    from _replay_shim.http_answer import Answer, Answers
    from _replay_shim.http_requests import Adapters

__all__ = ["PlainGets"]

_URLS_MAX = 4096
_PLAIN_STATUS_MAX = 300  # from here on, redirects


class PlainGets:
    """`Session.request`, for plain GETs of plain sessions."""

    def __init__(self, answers: Answers, adapters: Adapters, module: Any) -> None:
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
        if prepared_url is None or prepared_headers is None or seconds is UNKNOWN:
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
            text = value
            if type(value) is bytes and value.isascii():  # a signature, as b64encode returns it
                text = value.decode()
            if type(text) is not str or not text.isprintable() or text[:1] == " ":
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


def _has_netrc() -> bool:
    home = os.path.expanduser("~")  # noqa: PTH111 - pathlib costs every child its import
    names = [os.environ.get("NETRC"), f"{home}/.netrc", f"{home}/_netrc"]
    return any(name and os.path.exists(name) for name in names)  # noqa: PTH110 - the same
