"""One program for each client library; what they print is compared between a real server and replay."""

from __future__ import annotations

FRAME = r"""
import json, re, sys, warnings
BASE = sys.argv[1]
NOWHERE = "http://localhost:9"  # natively nobody listens, in replay nobody emulates it
results = {}
def plain(text):
    text = re.sub(r"0x[0-9a-f]+", "0x", str(text)).replace(BASE.rpartition(":")[2], "PORT")
    return re.sub(r"Connect call failed \(.*?\)", "Connection refused", text)
def error_of(error):
    chain = []
    while error is not None:
        bases = [kind.__name__ for kind in type(error).__mro__[:-1]]
        chain.append([type(error).__module__, type(error).__name__, bases])
        reason = getattr(error, "reason", None)
        error = reason if isinstance(reason, BaseException) else None
    return chain
def case(name, function, *arguments, **options):
    try:
        results[name] = function(*arguments, **options)
    except Exception as error:
        results[name] = ["raised", error_of(error), plain(error)]
def report():
    print(plain(json.dumps(results, default=lambda value: f"<{type(value).__name__}>")))
def names(headers):
    return sorted(name.lower() for name in headers)
"""

REQUESTS = """
import io, requests
from requests.adapters import HTTPAdapter
from urllib3.util.retry import Retry
def show(r):
    return [type(r).__name__, r.status_code, r.reason, r.ok, r.url, r.encoding, r.text[:200], len(r.content),
        type(r.headers).__name__, sorted(r.headers.items()), [[h.status_code, h.url] for h in r.history],
        type(r.elapsed).__name__, r.elapsed.total_seconds() > 0, type(r.cookies).__name__, dict(r.cookies),
        r.is_redirect, r.is_permanent_redirect, type(r.raw).__name__, type(r.raw).__module__, r.raw.status,
        r.raw.reason, r.raw.version, r.raw.read(), sorted(r.raw.headers.items()), type(r.connection).__name__,
        r.request.method, r.request.url, sorted(r.request.headers.items()), type(r.request.headers).__name__,
        repr(r.request.body), type(r.request._cookies).__name__, r.request.hooks, r.links, r.next is None,
        r.apparent_encoding, bool(r), repr(r)]
def get(path, **options): return show(requests.get(BASE + path, **options))
PATHS = "/json /text /untyped /gzip /big /empty /created /bad /limited /broken /redirect /moved /cookie /nothing"
for path in PATHS.split():
    case("get " + path, get, path)
    case("again " + path, get, path)
case("json", lambda: requests.get(BASE + "/json").json())
case("json of none", lambda: requests.get(BASE + "/broken").json())
case("raise_for_status", lambda: requests.get(BASE + "/limited").raise_for_status())
case("params", get, "/echo", params={"symbol": "BTC-USDT", "limit": 5, "a b": "ä&="})
case("params again", get, "/echo", params={"symbol": "BTC-USDT", "limit": 5, "a b": "ä&="})
case("params on a query", get, "/echo?x=1#part", params={"y": "2"})
case("params of many kinds", get, "/echo", params=[("a", 1.5), ("a", None), ("b", True)])
case("a list in params", get, "/echo", params={"a": [1, 2], "b": None})
case("headers", get, "/echo", headers={"X-Test": "one", "User-Agent": "mine", "Accept": None})
case("bytes in a header", get, "/echo", headers={"X-Test": b"bytes"})
case("a wrong header", get, "/echo", headers={"X-Test": "a\\r\\nb: c"})
case("a wrong header value", get, "/echo", headers={"X-Test": 5})
case("a blank before a value", get, "/echo", headers={"X-Test": " a"})
case("umlauts in the address", get, "/echo/../echo?ä=ö")
case("post json", lambda: show(requests.post(BASE + "/echo", json={"a": [1, "x"]})))
case("post form", lambda: show(requests.post(BASE + "/echo", data={"a": "1", "b": "ä"})))
case("post text", lambda: show(requests.post(BASE + "/echo", data="täxt")))
case("post bytes", lambda: show(requests.post(BASE + "/echo", data=b"bytes")))
case("post nothing", lambda: show(requests.post(BASE + "/echo")))
case("post a file", lambda: show(requests.post(BASE + "/echo", data=io.BytesIO(b"file"))))
case("post pieces", lambda: show(requests.post(BASE + "/echo", data=iter([b"a", b"bc"]))))
case("put", lambda: show(requests.put(BASE + "/echo", data="x")))
case("delete", lambda: show(requests.delete(BASE + "/echo?a=1")))
case("head", lambda: show(requests.head(BASE + "/json")))
case("options", lambda: requests.request("patch", BASE + "/echo", data="x").json())
case("get with a body", lambda: show(requests.get(BASE + "/echo", data="x")))
case("get json", lambda: show(requests.get(BASE + "/echo", json={})))
case("auth", get, "/echo", auth=("user", "secret"))
case("auth in the address", lambda: requests.get(BASE.replace("//", "//u:p@") + "/echo").json())
case("cookies", get, "/echo", cookies={"c": "3"})
case("post and redirect", lambda: show(requests.post(BASE + "/redirect", data="x")))
case("post and go on posting", lambda: show(requests.post(BASE + "/temporary", data="x")))
def not_followed():
    r = requests.get(BASE + "/redirect", allow_redirects=False)
    return [show(r), r.is_redirect, r.next.url]
case("no redirect", not_followed)
case("a loop", lambda: get("/loop"))
case("timeout", get, "/slow", timeout=0.25)
case("timeout of two", get, "/slow", timeout=(3, 0.25))
case("timeout of three", get, "/json", timeout=(1, 2, 3))
case("a wrong timeout", get, "/json", timeout=-1)
case("a word as timeout", get, "/json", timeout="x")
case("reset", get, "/reset")
case("post and reset", lambda: requests.post(BASE + "/reset", data="x"))
case("refused", lambda: requests.get(NOWHERE + "/x"))
case("refused post", lambda: requests.post(NOWHERE + "/x?y=1", json=1))
case("no scheme", lambda: requests.get("127.0.0.1/x"))
case("a strange scheme", lambda: requests.get("gopher://127.0.0.1/x"))
case("no host", lambda: requests.get("http://"))
def streamed():
    with requests.get(BASE + "/text", stream=True) as r:
        return [r.raw.closed, [line for line in r.iter_lines(decode_unicode=True)], r._content_consumed]
case("stream lines", streamed)
case("stream chunks", lambda: [len(c) for c in requests.get(BASE + "/big", stream=True).iter_content(100000)])
case("stream raw", lambda: len(requests.get(BASE + "/big", stream=True).raw.read(1000)))
case("stream raw gzip", lambda: requests.get(BASE + "/gzip", stream=True).raw.read(1000, decode_content=True).decode())
def consumed():
    r = requests.get(BASE + "/json", stream=True)
    list(r.iter_content(10))
    return r.content.decode()
case("consumed", consumed)
def session():
    with requests.Session() as s:
        s.headers.update({"X-Test": "session"})
        out = [show(s.get(BASE + "/echo")), show(s.get(BASE + "/echo", headers={"x-test": None}))]
        out += [show(s.get(BASE + "/cookie")), dict(s.cookies), s.get(BASE + "/echo").json()]
        s.cookies.clear()
        s.params = {"always": "1"}
        out += [s.get(BASE + "/echo").json()]
        s.params = {}
        s.hooks["response"].append(lambda r, *a, **k: setattr(r, "mark", 1))
        out += [s.get(BASE + "/json").mark]
        s.hooks["response"].clear()
        s.auth = ("u", "p")
        out += [s.get(BASE + "/echo").json()]
        return out
case("session", session)
class Mine(requests.Session):
    def send(self, request, **options):
        request.headers["X-Test"] = "mine"
        return super().send(request, **options)
case("a session of one's own", lambda: Mine().get(BASE + "/echo").json())
class MyAdapter(HTTPAdapter):
    def send(self, request, **options):
        request.headers["X-Test"] = "adapter"
        return super().send(request, **options)
def adapter():
    s = requests.Session()
    s.mount("http://", MyAdapter())
    return s.get(BASE + "/echo").json()
case("an adapter of one's own", adapter)
def retrying(path):
    s = requests.Session()
    s.mount("http://", HTTPAdapter(max_retries=Retry(2, backoff_factor=0, status_forcelist=[429, 500])))
    return show(s.get(BASE + path))
case("retries", retrying, "/limited")
case("retries at nothing", retrying, "/json")
def prepared():
    s = requests.Session()
    p = requests.Request("GET", BASE + "/echo", params={"a": 1}).prepare()
    return show(s.send(p, timeout=3))
case("prepared", prepared)
def pickled():
    import pickle
    return [pickle.loads(pickle.dumps(requests.get(BASE + "/json"))).json() for _ in range(2)]
case("pickled", pickled)
def changed():
    r = requests.get(BASE + "/json"); r.headers["a"] = "b"; r.history.append(1); r.cookies.set("x", "y")
    return show(requests.get(BASE + "/json"))
case("changed", changed)
report()
"""

URLLIB3 = """
import urllib3
pool = urllib3.PoolManager()
def show(r):
    return [type(r).__name__, r.status, r.reason, r.version, r.data[:200].decode("latin-1"), len(r.data),
        type(r.headers).__name__, sorted(r.headers.items()), r.geturl(), r.closed, type(r.retries).__name__]
PATHS = "/json /text /untyped /gzip /big /empty /created /bad /limited /broken /redirect /moved /cookie /nothing"
for path in PATHS.split():
    case("get " + path, lambda: show(pool.request("GET", BASE + path)))
case("json", lambda: pool.request("GET", BASE + "/json").json())
case("fields", lambda: show(pool.request("GET", BASE + "/echo", fields={"a": "b c"}, headers={"X-Test": "1"})))
case("form", lambda: show(pool.request("POST", BASE + "/echo", fields={"a": "1"}, encode_multipart=False)))
case("body", lambda: show(pool.request("POST", BASE + "/echo", body="täxt".encode())))
case("post json", lambda: show(pool.request("POST", BASE + "/echo", json={"a": 1})))
case("pieces", lambda: show(pool.request("POST", BASE + "/echo", body=iter([b"a", b"b"]))))
case("head", lambda: show(pool.request("HEAD", BASE + "/json")))
case("no redirect", lambda: show(pool.request("GET", BASE + "/redirect", redirect=False)))
case("a loop", lambda: show(pool.request("GET", BASE + "/loop")))
patient = urllib3.Retry(2, status_forcelist=[429], backoff_factor=0)
case("retries", lambda: show(pool.request("GET", BASE + "/limited", retries=patient)))
case("timeout", lambda: show(pool.request("GET", BASE + "/slow", timeout=0.25, retries=False)))
case("timeout retried", lambda: show(pool.request("GET", BASE + "/slow", timeout=0.25, retries=1)))
case("reset", lambda: show(pool.request("GET", BASE + "/reset", retries=False)))
case("reset retried", lambda: show(pool.request("GET", BASE + "/reset", retries=1)))
case("refused", lambda: show(pool.request("GET", NOWHERE + "/x", retries=False)))
case("refused retried", lambda: show(pool.request("GET", NOWHERE + "/x", retries=1)))
case("stream", lambda: [len(c) for c in pool.request("GET", BASE + "/big", preload_content=False).stream(100000)])
case("read", lambda: len(pool.request("GET", BASE + "/big", preload_content=False).read(1000)))
one = urllib3.HTTPConnectionPool("127.0.0.1", int(BASE.rpartition(":")[2]))
case("one host", lambda: show(one.request("GET", "/echo")))
report()
"""

HTTP_CLIENT = """
import http.client
host = BASE.partition("//")[2]
def show(r):
    data = r.read()
    return [type(r).__name__, r.status, r.reason, r.version, data[:200].decode("latin-1"), len(data),
        sorted(r.getheaders()), r.getheader("content-type"), type(r.headers).__name__, r.isclosed()]
def ask(method, path, **options):
    c = http.client.HTTPConnection(host, timeout=5)
    c.request(method, path, **options)
    return show(c.getresponse())
for path in "/json /text /untyped /gzip /big /empty /bad /limited /broken /redirect /cookie /nothing".split():
    case("get " + path, ask, "GET", path)
case("head", ask, "HEAD", "/json")
case("post", ask, "POST", "/echo", body="text", headers={"X-Test": "1"})
chunked = {"Transfer-Encoding": "chunked"}
case("post pieces", ask, "POST", "/echo", body=iter([b"a", b"b"]), encode_chunked=True, headers=chunked)
def twice():
    c = http.client.HTTPConnection(host)
    out = []
    for path in ("/json", "/echo", "/broken"):
        c.request("GET", path)
        out.append(show(c.getresponse()))
    c.close()
    return out
case("one connection", twice)
def by_hand():
    c = http.client.HTTPConnection(host)
    c.putrequest("PUT", "/echo")
    c.putheader("X-Test", "hand")
    c.putheader("Content-Length", "2")
    c.endheaders()
    c.send(b"ab")
    return show(c.getresponse())
case("by hand", by_hand)
def too_early():
    c = http.client.HTTPConnection(host)
    c.request("GET", "/json")
    c.getresponse()
    c.request("GET", "/json")
    return show(c.getresponse())
case("before the first is read", too_early)
def timeout():
    c = http.client.HTTPConnection(host, timeout=0.25)
    c.request("GET", "/slow")
    return show(c.getresponse())
case("timeout", timeout)
case("reset", ask, "GET", "/reset")
def refused():
    http.client.HTTPConnection("localhost", 9).request("GET", "/")
case("refused", refused)
def parts():
    c = http.client.HTTPConnection(host); c.request("GET", "/text"); r = c.getresponse()
    first = [r.read(3).decode("latin-1"), r.readline().decode("latin-1")]
    return [*first, r.peek(2)[:1].decode(), r.read1(2).decode(), r.length]
case("parts", parts)
report()
"""

URLLIB = """
import urllib.error, urllib.parse, urllib.request
def show(r):
    data = r.read()
    return [type(r).__name__, r.status, r.reason, r.url, r.getcode(), data[:200].decode("latin-1"), len(data),
        sorted(r.headers.items())]
def get(path, **options): return show(urllib.request.urlopen(BASE + path, **options))
for path in "/json /text /gzip /big /empty /redirect /moved /cookie".split():
    case("get " + path, get, path)
def failing(path):
    try:
        return get(path)
    except urllib.error.HTTPError as error:
        return [str(error), error.code, error.reason, sorted(error.headers.items()), error.read().decode()]
for path in "/bad /limited /broken /nothing /loop".split():
    case("failing " + path, failing, path)
case("post", get, "/echo", data=urllib.parse.urlencode({"a": "b c"}).encode())
put = urllib.request.Request(BASE + "/echo", data=b"{}", headers={"X-Test": "1"}, method="PUT")
case("request", lambda: show(urllib.request.urlopen(put)))
case("timeout", get, "/slow", timeout=0.25)
case("reset", get, "/reset")
case("refused", lambda: urllib.request.urlopen(NOWHERE))
case("lines", lambda: [line.decode("latin-1") for line in urllib.request.urlopen(BASE + "/text")])
report()
"""

HTTPX = """
import asyncio, httpx
def show(r):
    return [type(r).__name__, r.status_code, r.reason_phrase, r.http_version, str(r.url), r.text[:200], len(r.content),
        type(r.headers).__name__, sorted(r.headers.multi_items()), r.encoding,
        [[h.status_code, str(h.url)] for h in r.history],
        type(r.elapsed).__name__, r.elapsed.total_seconds() > 0, dict(r.cookies), r.is_success, r.is_error,
        r.is_redirect,
        r.has_redirect_location, r.is_closed, r.is_stream_consumed, r.request.method,
        sorted(r.request.headers.multi_items()),
        sorted(k for k in r.extensions if k != "network_stream"), repr(r)]
PATHS = "/json /text /untyped /gzip /big /empty /created /bad /limited /broken /redirect /cookie /nothing".split()
for path in PATHS:
    case("get " + path, lambda: show(httpx.get(BASE + path)))
case("json", lambda: httpx.get(BASE + "/json").json())
case("raise_for_status", lambda: httpx.get(BASE + "/limited").raise_for_status())
case("params", lambda: show(httpx.get(BASE + "/echo", params={"a": "b c", "n": 1}, headers={"X-Test": "1"})))
case("post json", lambda: show(httpx.post(BASE + "/echo", json={"a": 1})))
case("post form", lambda: show(httpx.post(BASE + "/echo", data={"a": "1"})))
case("post content", lambda: show(httpx.post(BASE + "/echo", content=b"x")))
case("post pieces", lambda: httpx.post(BASE + "/echo", content=iter([b"a", b"b"])).json()["body"])
case("head", lambda: show(httpx.head(BASE + "/json")))
case("follow", lambda: show(httpx.get(BASE + "/redirect", follow_redirects=True)))
case("a loop", lambda: show(httpx.get(BASE + "/loop", follow_redirects=True)))
case("timeout", lambda: show(httpx.get(BASE + "/slow", timeout=0.25)))
case("timeout of its own", lambda: show(httpx.get(BASE + "/slow", timeout=httpx.Timeout(9, read=0.25))))
case("reset", lambda: show(httpx.get(BASE + "/reset")))
case("refused", lambda: show(httpx.get(NOWHERE)))
def streamed():
    with httpx.stream("GET", BASE + "/text") as r:
        return [r.is_closed, list(r.iter_lines()), r.num_bytes_downloaded]
case("stream", streamed)
def unread():
    with httpx.stream("GET", BASE + "/text") as r:
        return r.text
case("unread", unread)
def client():
    hooks = {"response": [lambda r: None]}
    with httpx.Client(base_url=BASE, headers={"X-Test": "c"}, cookies={"k": "v"}, event_hooks=hooks) as c:
        return [show(c.get("/echo")), show(c.get("/cookie")), show(c.get("/echo")), dict(c.cookies)]
case("client", client)
async def in_tasks():
    async with httpx.AsyncClient(base_url=BASE) as c:
        out = [show(await c.get(path)) for path in PATHS]
        out += [show(r) for r in await asyncio.gather(*(c.get(f"/echo?n={n}") for n in range(3)))]
        out += [show(await c.post("/echo", json={"a": 1}))]
        async with c.stream("GET", "/text") as r:
            out += [[line async for line in r.aiter_lines()]]
        for path, options in (("/slow", {"timeout": 0.25}), ("/reset", {}), (NOWHERE, {})):
            try:
                await c.get(path, **options)
            except Exception as error:
                out += [[error_of(error), type(error.request).__name__]]
        return out
case("async", lambda: asyncio.run(in_tasks()))
report()
"""

AIOHTTP = """
import asyncio, aiohttp
PATHS = "/json /text /untyped /gzip /big /empty /created /bad /limited /broken /redirect /moved /nothing"
async def show(r):
    data = await r.read()
    return [type(r).__name__, r.status, r.reason, str(r.url), str(r.real_url), (await r.text("latin-1"))[:200],
        len(data), r.ok,
        type(r.headers).__name__, sorted(r.headers.items()), r.content_type, r.charset,
        [[h.status, str(h.url)] for h in r.history],
        {k: m.value for k, m in r.cookies.items()}, r.method, str(r.version), type(r.content).__name__, r.closed,
        sorted(r.request_info.headers.items())]
async def main():
    async with aiohttp.ClientSession() as s:
        async def ask(name, method, path, **options):
            try:
                async with s.request(method, path if "//" in path else BASE + path, **options) as r:
                    results[name] = await show(r)
            except Exception as error:
                results[name] = ["raised", error_of(error), plain(error)]
        for path in PATHS.split():
            await ask("get " + path, "GET", path)
        await ask("params", "GET", "/echo", params={"a": "b c", "n": 1}, headers={"X-Test": "1"})
        await ask("post json", "POST", "/echo", json={"a": 1})
        await ask("post form", "POST", "/echo", data={"a": "1"})
        await ask("post bytes", "POST", "/echo", data=b"x")
        await ask("head", "HEAD", "/json")
        await ask("put", "PUT", "/echo", data="x")
        await ask("auth", "GET", "/echo", headers={"Authorization": "Basic dTpw"})
        await ask("no redirect", "GET", "/redirect", allow_redirects=False)
        await ask("post and redirect", "POST", "/redirect", data="x")
        await ask("post and go on posting", "POST", "/temporary", data="x")
        await ask("a loop", "GET", "/loop")
        await ask("raise for status", "GET", "/limited", raise_for_status=True)
        await ask("timeout", "GET", "/slow", timeout=aiohttp.ClientTimeout(total=0.25))
        await ask("timeout of reading", "GET", "/slow", timeout=aiohttp.ClientTimeout(sock_read=0.25))
        await ask("reset", "POST", "/reset")
        await ask("refused", "GET", NOWHERE)
        async def pieces():
            yield b"a"; yield b"bc"
        await ask("pieces", "POST", "/echo", data=pieces())
        async with s.get(BASE + "/json") as r:
            results["json"] = await r.json()
        try:
            async with s.get(BASE + "/broken") as r:
                await r.json()
        except Exception as error:
            results["no json"] = [error_of(error), plain(error)]
        async with s.get(BASE + "/text") as r:
            results["lines"] = [line.decode("latin-1") async for line in r.content]
        async with s.get(BASE + "/big") as r:
            results["chunks"] = sum([len(c) async for c in r.content.iter_chunked(1000)])
        async def number(n):
            async with s.get(BASE + f"/echo?n={n}") as r:
                return await r.json()
        results["at once"] = await asyncio.gather(*(number(n) for n in range(5)))
        await ask("cookie", "GET", "/cookie")
        jar = aiohttp.CookieJar(unsafe=True)
        async with aiohttp.ClientSession(BASE, cookie_jar=jar, headers={"X-Test": "s"}) as own:
            async with own.get("/cookie"):
                pass
            async with own.get("/echo") as r:
                results["own session"] = await show(r)
        task = asyncio.ensure_future(number(9))
        await asyncio.sleep(0)
        task.cancel()
        results["cancelled"] = [type(e).__name__ for e in await asyncio.gather(task, return_exceptions=True)]
asyncio.run(main())
report()
"""

PROGRAMS = {
    "requests": REQUESTS,
    "urllib3": URLLIB3,
    "http.client": HTTP_CLIENT,
    "urllib.request": URLLIB,
    "httpx": HTTPX,
    "aiohttp": AIOHTTP,
}
