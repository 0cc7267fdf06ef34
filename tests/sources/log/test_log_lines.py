"""Lines as each server writes them, and what they say. Each is read as it stands, and many times over the fast way."""

from __future__ import annotations

import json
from contextlib import closing

import pytest

from support.access_logs import AT_10, fast_reader, reader
from weighbridge.sources.log.decode import SLOW_BYTES, Sum

START = "192.0.2.7 - - [29/Nov/2025:10:00:12 +0000]"
AGENT = '"Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"'
ITEMS = {"endpoints": ["/items/{id}", "/healthz"]}
CADDY = (
    '{"level":"info","ts":1764410412.5123,"logger":"http.log.access.log0","msg":"handled request","request":{"remote_ip":'
    '"192.0.2.7","remote_port":"41342","client_ip":"192.0.2.7","proto":"HTTP/2.0","method":"GET","host":"api.example.com",'
    '"uri":"/items/7?full=1","headers":{"User-Agent":["curl/8.4.0"],"Accept":["*/*"],"X-Tenant":["acme","b"]},"tls":{"resumed":'
    'false,"version":772,"cipher_suite":4865,"proto":"h2","server_name":"api.example.com"}},"bytes_read":17,"user_id":"alice",'
    '"duration":0.000929675,"size":10900,"status":200,"resp_headers":{"Server":["Caddy"],"Content-Type":["text/html"]}}'
)
TRAEFIK = (
    '{"ClientAddr":"192.0.2.7:51234","ClientHost":"192.0.2.7","ClientPort":"51234","ClientUsername":"alice","DownstreamContentSize"'
    ':734,"DownstreamStatus":200,"Duration":1830000,"OriginContentSize":734,"OriginDuration":1700000,"OriginStatus":200,"Overhead"'
    ':130000,"RequestAddr":"api.example.com","RequestContentSize":55,"RequestCount":12,"RequestHost":"api.example.com",'
    '"RequestMethod":"GET","RequestPath":"/items/7?full=1","RequestPort":"-","RequestProtocol":"HTTP/1.1","RequestScheme":"https",'
    '"RetryAttempts":0,"RouterName":"api@docker","StartLocal":"2025-11-29T11:00:12.04+01:00","StartUTC":'
    '"2025-11-29T10:00:12.040123456Z","entryPointName":"websecure","level":"info","msg":"","request_X-Tenant":"acme","time":'
    '"2025-11-29T10:00:12Z"}'
)
ENVOY = (
    '{"authority":"api.example.com","bytes_received":55,"bytes_sent":734,"duration":7,"method":"GET","path":"/items/7?full=1",'
    '"protocol":"HTTP/1.1","request_id":"0b8a","response_code":200,"response_flags":"-","start_time":"2025-11-29T10:00:12.040Z",'
    '"upstream_host":"10.0.0.5:8080","user_agent":"curl/8.4.0","x_forwarded_for":null}'
)
NGINX = (
    '{"time_iso8601":"2025-11-29T12:00:12+02:00","remote_addr":"192.0.2.7","remote_user":"alice","host":"api.example.com",'
    '"request_method":"GET","request_uri":"/items/7?full=1","status":"200","bytes_sent":"734","body_bytes_sent":"512",'
    '"request_length":"55","request_time":"0.003","http_user_agent":"curl \\"x\\" \\u0016"}'
)
ALB = (
    "https 2025-11-29T10:00:12.186641Z app/my-loadbalancer/50dc6c495c0c9188 192.0.2.7:2817 10.0.0.1:80 0.086 0.048 0.037 "
    '200 200 55 734 "GET https://api.example.com:443/items/7?full=1 HTTP/1.1" "curl/7.46.0" ECDHE-AES128-GCM-SHA256 TLSv1.2 '
    "arn:aws:elasticloadbalancing:us-east-2:123456789012:targetgroup/my-targets/73e2d6bc24d8a067 "
    '"Root=1-58337281-1d84f3d73c47ec4e58577259" "alice" "arn:aws:acm:us-east-2:123456789012:certificate/1" 1 '
    '2025-11-29T10:00:12.100000Z "authenticate,forward" "-" "-" "10.0.0.1:80" "200" "-" "-" TID_1234abcd5678ef90'
)
OLD_ALB = ALB.partition(" ECDHE")[0] + " - - arn:x"
CLOUDFRONT = (
    "2025-11-29 10:00:12 LAX1 734 192.0.2.7 GET d111111abcdef8.cloudfront.net /items/7%2520b 200 - Mozilla/4.0%20(X;) "
    "full=1 - Hit SOX4xwn4XV6Q4rgb7XiVGOHms_BGlTAC4KyHmureZmBNrjGdRLiNIQ== api.example.com https 55 0.001 - TLSv1.2 "
    "ECDHE-RSA-AES128-GCM-SHA256 Hit HTTP/2.0 - - 11040 0.001 Hit text/html 78 - -"
).replace(" ", "\t")
LOG_FORMAT = (
    '$remote_addr - $remote_user [$time_local] $host "$request" $status $body_bytes_sent $bytes_sent $request_length '
    '$request_time "$http_x_tenant" $upstream_addr $upstream_response_time'
)
TEMPLATE = '{"t":"$msec","u":"$remote_user","r":"$request","s":$status,"o":$bytes_sent,"up":$upstream_response_time}'


def place(subject="app/1", environment=None, consumer=None, method=None, path=None):
    return subject, environment, consumer, method, path


GET_ITEM = place(consumer="alice", method="GET", path="/items/{id}")
LINES = {
    "common": ("common", {}, '192.0.2.7 - frank [29/Nov/2025:10:00:12 +0000] "GET /apache_pb.gif HTTP/1.0" 200 2326',
        place(), None,
               2326),
    "common, nothing sent": ("common", {}, f'{START} "GET / HTTP/1.0" 304 -', place(), None, 0),
    "combined": ("combined", {"consumer": "$remote_user", **ITEMS},
                 f'192.0.2.7 - alice [29/Nov/2025:03:00:12 -0700] "GET /items/7?full=1 HTTP/1.1" 200 734 "-" {AGENT}',
                 GET_ITEM, None, 734),
    "combined, IPv6, no agent": ("combined", {}, '2001:db8::1 - - [29/Nov/2025:10:00:12 +0000] "GET / HTTP/2.0" 200 5 "" ""',
        place(),
                                 None, 5),
    "combined, no request": ("combined", ITEMS, f'{START} "-" 400 0 "-" {AGENT}', place(), None, 0),
    "log_format": (LOG_FORMAT, {"consumer": "$http_x_tenant", **ITEMS},
                   f'{START} h.example "GET /items/7 HTTP/1.1" 200 512 734 55 0.003 "alice" 10.0.0.1:80 0.002', GET_ITEM, 55,
                   734),
    "log_format, body only": ('$msec $host "$request" $body_bytes_sent', {}, '1764410412.512 h "GET / HTTP/1.1" 512',
        place(), None,
                              512),
    "log_format, iso": ('"$time_iso8601" ${request_method} $request_uri $bytes_sent', ITEMS,
                        '"2025-11-29T10:00:12+00:00" get /healthz 512', place(method="GET", path="/healthz"), None, 512),
    "log_format, no bytes": ("$time_iso8601 $status", {}, "2025-11-29T10:00:12+00:00 200", place(), None, None),
    "nginx-json": ("nginx-json", {"consumer": "$remote_user", **ITEMS}, NGINX, GET_ITEM, 55, 734),
    "nginx-json, request line": ("nginx-json", ITEMS, json.dumps({
        "time_local": "29/Nov/2025:10:00:12 +0000", "request": "GET /items/7 HTTP/1.1", "body_bytes_sent": 734}),
        place(method="GET", path="/items/{id}"), None, 734),
    "log_format of JSON": (TEMPLATE, {"consumer": "$remote_user", **ITEMS},
                           '{"t":"1764410412.512","u":"alice","r":"GET /items/7 HTTP/1.1","s":200,"o":734,"up":0.001}',
                           GET_ITEM, None, 734),
    "caddy": ("caddy", {"consumer": "$user_id", **ITEMS}, CADDY, GET_ITEM, 17, 10900),
    "caddy, iso, header": ("caddy", {"consumer": "$request.headers.X-Tenant"},
                           CADDY.replace("1764410412.5123", '"2025-11-29T10:00:12.512Z"'), place(consumer="acme"), 17, 10900),
    "traefik": ("traefik", {"consumer": "$ClientUsername", **ITEMS}, TRAEFIK, GET_ITEM, 55, 734),
    "traefik, header": ("traefik", {"environment": "$request_X-Tenant"}, TRAEFIK, place(environment="acme"), 55, 734),
    "envoy": ("envoy", ITEMS, ENVOY, place(method="GET", path="/items/{id}"), 55, 734),
    "envoy, null": ("envoy", {"consumer": "$x_forwarded_for"}, ENVOY, place(), 55, 734),
    "json": ("json", {"fields": {"time": "at", "bytes_out": "http.size", "path": "http.url", "method": "verb"},
        "consumer": "$who.id",
                      **ITEMS},
             '{"at":1764410412512,"http":{"size":734,"url":"https://x/items/7"},"verb":"GET","who":{"id":42}}',
             place(consumer="42", method="GET", path="/items/{id}"), None, 734),
    "json, dots in keys": ("json", {"fields": {"time": "@timestamp", "bytes_out": "http.response.bytes"}},
                           '{"@timestamp":"2025-11-29T10:00:12.5Z","http.response.bytes":"734"}', place(), None, 734),
    "alb": ("alb", {"consumer": "$domain_name", **ITEMS}, ALB, GET_ITEM, 55, 734),
    "alb, older": ("alb", {"consumer": "$domain_name", **ITEMS}, OLD_ALB, place(method="GET", path="/items/{id}"), 55, 734),
    "cloudfront": ("cloudfront", {"consumer": "$x-edge-location", **ITEMS}, CLOUDFRONT,
                   place(consumer="LAX1", method="GET", path="/items/{id}"), 55, 734),
}


@pytest.mark.parametrize("name", LINES)
def test_a_line_is_read(name):
    format_, table, line, found, bytes_in, bytes_out = LINES[name]
    chunk = reader(format_, **table).read(line.encode())
    assert (chunk.lines, chunk.counted, chunk.first_bad) == (1, 1, ())
    assert chunk.sums == (Sum(*found, AT_10, 1, bytes_in, bytes_out),)


@pytest.mark.parametrize("name", LINES)
def test_many_such_lines_are_read_fast(name):
    format_, table, line, found, bytes_in, bytes_out = LINES[name]
    times = SLOW_BYTES // len(line) + 1
    with closing(fast_reader(format_, **table)) as made:
        chunk = made.read(f"{line}\n".encode() * times)
    sums = [None if amount is None else amount * times for amount in (bytes_in, bytes_out)]
    assert (chunk.lines, chunk.counted) == (times, times)
    assert chunk.sums == (Sum(*found, AT_10, times, *sums),)


ODD = {
    "TLS on the HTTP port": ("combined", {}, f'{START} "\\x16\\x03\\x01\\x00" 400 157 "-" "-"', place(), 157),
    "Apache's quotes": ("combined", {"consumer": "$http_referer"}, f'{START} "GET / HTTP/1.1" 200 5 "a \\"b\\" \\\\" "x\\"y"',
                        place(consumer='a "b" \\'), 5),
    "nginx's quotes": ("combined", {"consumer": "$http_referer"}, f'{START} "GET / HTTP/1.1" 200 5 "a \\x22b\\x22" "-"',
                       place(consumer='a "b"'), 5),
    "UTF-8 in backslashes": ("combined", {"consumer": "$http_referer"}, f'{START} "GET / HTTP/1.1" 200 5 "\\xC3\\xA9" "-"',
                             place(consumer="é"), 5),
    "a user with a space": ("combined", {"consumer": "$remote_user"},
        f'{START} "GET / HTTP/1.1" 200 5 "-" "-"'.replace("- -", "- a b"),
                            place(consumer="a b"), 5),
    "upstreams": (LOG_FORMAT, {},
        f'{START} h "GET / HTTP/1.1" 200 1 5 1 0.1 "-" 10.0.0.1:80, 10.0.0.2:80 : 10.0.0.3:80 0.1, 0.2 : 0.3',
                  place(), 5),
    "no upstream in JSON": (TEMPLATE, {"consumer": "$remote_user"},
        '{"t":"1764410412.512","u":"a\\"b","r":"-","s":200,"o":5,"up":}',
                            place(consumer='a"b'), 5),
    "a comma too many": ("nginx-json", {}, '{"msec":"1764410412.512","bytes_sent":5,}', place(), 5),
    "bytes that are no UTF-8": ("nginx-json", {}, '{"msec":"1764410412.512","bytes_sent":5,"agent":"\udcff"}', place(), 5),
    "carriage return": ("combined", {}, f'{START} "GET / HTTP/1.1" 200 5 "-" "-"\r', place(), 5),
    "leap second": ("combined", {}, f'{START} "GET / HTTP/1.1" 200 5 "-" "-"'.replace(":12 ", ":60 "), place(), 5),
    "a long line": ("combined", {}, f'{START} "GET /{"a" * 60_000} HTTP/1.1" 414 5 "-" "-"', place(), 5),
}


@pytest.mark.parametrize("name", ODD)
def test_an_odd_line_counts_like_any_other(name):
    format_, table, line, found, bytes_out = ODD[name]
    chunk = reader(format_, **table).read(line.encode("utf-8", "surrogateescape") + b"\n")
    assert chunk.first_bad == ()
    assert [(*place(*found), AT_10, 1, bytes_out)] == [
        (each.subject, each.environment, each.consumer, each.method, each.path, each.slot_s, each.requests, each.bytes_out)
        for each in chunk.sums
    ]


BAD = {
    "no such line": ("combined", "hello", "no line of format combined"),
    "another format": ("common", f'{START} "GET / HTTP/1.1" 200 5 "-" "-"', "is no number of bytes"),
    "no end of the quotes": ("combined", f'{START} "GET / HTTP/1.1 200 5 "-" "-"', "no line of format combined"),
    "no time": ("combined", '192.0.2.7 - - [-] "GET / HTTP/1.1" 200 5 "-" "-"', "time"),
    "no such day": ("combined", f'{START.replace("29/Nov", "31/Nov")} "GET / HTTP/1.1" 200 5 "-" "-"', "time"),
    "no offset": ("nginx-json", '{"time":"2025-11-29T10:00:12","bytes_sent":1}', "is no instant with a UTC offset"),
    "negative size": ("combined", f'{START} "GET / HTTP/1.1" 200 -5 "-" "-"', "'-5' is no number of bytes"),
    "half a byte": ("nginx-json", '{"msec":1764410412,"bytes_sent":1.5}', "bytes_sent '1.5' is no number of bytes"),
    "too large": ("nginx-json", '{"msec":1764410412,"bytes_sent":9007199254740992}', "is no number of bytes"),
    "no status": ("combined", f'{START} "GET / HTTP/1.1" 2000 5 "-" "-"', "status"),
    "no JSON": ("nginx-json", "{oops}", "no JSON"),
    "no object": ("nginx-json", "[1]", "no JSON object"),
    "no time in JSON": ("nginx-json", '{"a":1}', "no time under time_iso8601 or time_local"),
    "Caddy's other lines": ("caddy", '{"level":"info","ts":1764410412.5,"logger":"tls","msg":"cleaning storage unit"}',
        "no size"),
    "nested": ("nginx-json", '{"a":' + "[" * 100_000 + "]" * 100_000 + "}", "more than 500 brackets"),
    "a number without end": ("nginx-json", '{"msec":' + "1" * 100_000 + "}", "no JSON"),
    "a million keys": ("nginx-json", "{" + ",".join(f'"k{number}":1' for number in range(1_000_000)) + "}",
        "longer than 262144 bytes"),
    "a long line": ("combined", "x" * 300_000, "longer than 262144 bytes"),
    "few fields": ("cloudfront", "2025-11-29\t10:00:12", "2 fields instead of the 33 of #Fields"),
    "a load balancer of another kind": ("alb", "tls 2.0 2025-11-29T10:00:12 net/my-lb 1",
        "no line of an Application Load Balancer"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_line_says_why(name):
    format_, line, reason = BAD[name]
    chunk = reader(format_).read(b"\n" + line.encode())
    assert (chunk.lines, chunk.counted, chunk.bad, chunk.blank, chunk.sums) == (2, 0, 1, 1, ())
    [(number, said, text)] = chunk.first_bad
    assert number == 2
    assert reason in said
    assert text == line[:200].replace("\t", "\\x09")


@pytest.mark.parametrize(("user", "reason"), [
    ("x" * 256, "consumer is longer than 255 characters"), ("\\x07", "consumer holds a control character"),
    ("\\xff", "consumer is no UTF-8"),
])
def test_a_name_that_cannot_be_one_makes_the_line_bad(user, reason):
    line = f'192.0.2.7 - {user} [29/Nov/2025:10:00:12 +0000] "GET / HTTP/1.1" 200 5 "-" "-"\n'
    chunk = reader("combined", consumer="$remote_user").read(line.encode())
    assert [said for _, said, _ in chunk.first_bad] == [reason]
    assert reader("combined").read(line.encode()).counted == 1, "nobody asks for it"


def test_what_is_shown_of_a_bad_line_is_safe_for_a_terminal():
    [(_, _, text)] = reader("combined").read(b"\x1b[31mred\x07 \xff\xe2\x80\xae").first_bad
    assert text == "\\x1b[31mred\\x07 \\xff\\x202e"


def test_the_first_ten_bad_lines_are_shown():
    chunk = reader("combined").read(b"bad\n" * 5 + b"\n" + b"bad\n" * 20)
    assert (chunk.bad, chunk.blank) == (25, 1)
    assert [number for number, _, _ in chunk.first_bad] == [1, 2, 3, 4, 5, 7, 8, 9, 10, 11]


def test_nothing_holds_nothing():
    chunk = reader("combined").read(b"")
    assert (chunk.lines, chunk.sums, chunk.first_bad) == (0, (), ())


def test_sums_keep_apart_what_differs_and_are_sorted():
    lines = [
        f'192.0.2.7 - {user} [29/Nov/2025:10:{minute}:12 +0000] "GET / HTTP/1.1" 200 5 "-" "-"\n'
        for minute, user in [("05", "b"), ("00", "-"), ("04", "b"), ("04", "a"), ("00", "b")]
    ]
    chunk = reader("combined", consumer="$remote_user").read("".join(lines).encode())
    assert [(each.slot_s - AT_10, each.consumer, each.requests, each.bytes_out) for each in chunk.sums] == [
        (0, None, 1, 5), (0, "a", 1, 5), (0, "b", 2, 10), (300, "b", 1, 5)]


def test_fields_of_cloudfront_come_in_any_order_and_again():
    made = reader("cloudfront", consumer="$c-ip")
    chunk = made.read(
        b"#Version: 1.0\n#Fields: time cs-bytes c-ip date sc-bytes\n10:00:12\t1\ta\t2025-11-29\t2\n"
        b"#Version: 1.0\n#Fields: date time c-ip\n2025-11-29\t10:00:12\tb\n2025-11-29\t10:00:12\tb\textra\n"
    )
    assert (chunk.lines, chunk.counted, chunk.bad, chunk.blank) == (7, 2, 1, 4)
    assert [(each.consumer, each.bytes_in, each.bytes_out) for each in chunk.sums] == [("a", 1, 2), ("b", None, None)]
    made.read(b"#Fieldset: a\n#Version: 1.0\n")
    later = reader("cloudfront", consumer="$c-ip", header=made.header)
    assert later.read(b"2025-11-29\t10:00:12\tb\n").counted == 1


def test_unknown_sizes_add_nothing_and_a_sum_of_them_is_unknown():
    lines = b'{"msec":1764410412,"bytes_sent":5}\n{"msec":1764410413,"bytes_sent":null}\n'
    [found] = reader("nginx-json").read(lines).sums
    assert (found.requests, found.bytes_in, found.bytes_out) == (2, None, 5)
