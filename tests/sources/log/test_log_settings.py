"""What a person may write for a log, and what is said of what makes no sense: the key at fault, and what would be right."""

from __future__ import annotations

import tomllib

import pytest

from support.access_logs import reader
from weighbridge.domain.errors import InvalidInputError
from weighbridge.sources.log.decode import LogReader
from weighbridge.sources.log.settings import MAX_ENDPOINTS, MAX_RULES, read_settings

EXAMPLE = """
path = "/var/log/nginx/access.log"
format = '$host $remote_user [$time_local] "$request" $status $bytes_sent "$http_x_tenant"'
app = 1
environment = "prod"
consumer = "$remote_user"
endpoints = ["/items/{id}", "/healthz"]
rules = [
  {host = "api.example.com", prefix = "/v2/", app = 1, environment = "v2"},
  {field = "$http_x_tenant", equals = "acme", app = 3},
  {prefix = "/assets/", space = 123, asset = true},
]
"""


def test_the_example_is_right():
    settings = read_settings(tomllib.loads(EXAMPLE))
    assert [rule.app or rule.space for rule in settings.rules] == [1, 3, 123]
    LogReader(settings).close()


WRONG = {
    "format": ({"format": "combind"}, "format", "none of common, combined"),
    "no format": ({"format": ""}, "format", 'format = "combined"'),
    "number": ({"app": "one"}, "app", "app = 1"),
    "zero": ({"app": 0}, "app", "app = 1"),
    "truth": ({"app": True}, "app", "app = 1"),
    "unknown key": ({"pth": "x"}, None, "known there: path, format"),
    "unknown key of a rule": ({"rules": [{"hots": "x", "app": 1}]}, "rules[0]", "known there: host, prefix"),
    "nobody": ({"app": None}, "app", "give app, space or rules"),
    "two": ({"space": 3}, "app", "keep one of the two"),
    "NUL": ({"path": "a\0"}, "path", "give the path of a file"),
    "fields": ({"fields": {"time": "t"}}, "fields", 'format = "json" only'),
    "unknown field": ({"format": "json", "fields": {"time": "t", "bytes_ot": "x"}}, "fields.bytes_ot", "known there: time"),
    "no time": ({"format": "json", "fields": {"bytes_out": "x"}}, "fields.time", 'fields = {time = "ts"}'),
    "no key": ({"format": "json", "fields": {"time": "a..b"}}, "fields.time", "request.host"),
    "deep key": ({"format": "json", "fields": {"time": ".".join("abcdefghi")}}, "fields.time", "at most 8 deep"),
    "rule of nobody": ({"rules": [{"prefix": "/"}]}, "rules[0]", "app = 1 or space = 123"),
    "rule of two": ({"rules": [{"app": 1, "space": 1}]}, "rules[0]", "one of the two"),
    "field alone": ({"rules": [{"field": "$status", "app": 1}]}, "rules[0]", "go together"),
    "field without $": ({"rules": [{"field": "status", "equals": "", "app": 1}]}, "rules[0].field", "$http_x_tenant"),
    "prefix": ({"rules": [{"prefix": "v2", "app": 1}]}, "rules[0].prefix", "begin with /"),
    "asset of an app": ({"rules": [{"prefix": "/", "app": 1, "asset": True}]}, "rules[0].asset", "endpoints instead"),
    "environment of a space": ({"rules": [{"space": 1, "environment": "x"}]}, "rules[0]", "a space has neither"),
    "endpoint": ({"endpoints": ["items"]}, "endpoints[0]", "/items/{id}"),
    "endpoint with a query": ({"endpoints": ["/", "/items?x"]}, "endpoints[1]", "/items/{id}"),
    "half a brace": ({"endpoints": ["/a{id}"]}, "endpoints[0]", "/items/{id}"),
    "endpoint twice": ({"endpoints": ["/a/{id}", "/a/{name}"]}, "endpoints[1]", "matches the same paths as '/a/{id}'"),
    "name": ({"environment": "a\nb"}, "environment", "such as prod"),
    "only $": ({"consumer": "$"}, "consumer", "$remote_user"),
    "unknown variable": ({"consumer": "$http_x_user"}, "consumer", "it has $remote_addr"),
    "unknown variable of a rule": ({"rules": [{"field": "$x", "equals": "", "app": 1}]}, "rules[0].field", "has no $x"),
    "no host": ({"rules": [{"host": "h", "app": 1}]}, "rules[0].host", "tells no host"),
    "no such field of a load balancer": ({"format": "alb", "consumer": "$user"}, "consumer", "$domain_name"),
    "no time in a log_format": ({"format": "$remote_addr"}, "format", "$time_local"),
    "no time in a JSON log_format": ({"format": '{"a":"$remote_addr"}'}, "format", "$time_iso8601"),
    "side by side": ({"format": "$time_local$status"}, "format", "$time_local$status with nothing between"),
    "no variable": ({"format": "US$"}, "format", "tells no time"),
    "no path": ({"format": "$time_local $status", "endpoints": ["/"]}, "format", 'add "$request"'),
    "no path in JSON": ({"format": "json", "fields": {"time": "t"}, "endpoints": ["/"]}, "fields", "where path"),
    "no host in JSON": ({"format": "json", "fields": {"time": "t"}, "rules": [{"host": "h", "app": 1}]}, "rules[0].host",
        "where host"),
    "unknown variable of a JSON log_format": ({"format": '{"t":"$msec"}', "consumer": "$user"}, "consumer", "it has $msec"),
    "many rules": ({"rules": [{"app": 1}] * (MAX_RULES + 1)}, "rules", "length"),
    "many endpoints": ({"endpoints": ["/"] * (MAX_ENDPOINTS + 1)}, "endpoints", "length"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_is_named(name):
    change, where, said = WRONG[name]
    table = {"path": "x", "format": "combined", "app": 1, **change}
    with pytest.raises(InvalidInputError) as caught:
        LogReader(read_settings({key: value for key, value in table.items() if value is not None}))
    assert caught.value.where == where
    assert said in caught.value.detail
    assert where is None or where.partition("[")[0].partition(".")[0] in caught.value.detail


def test_as_many_rules_and_endpoints_as_may_be_are_read():
    rules = [{"prefix": f"/{number}/", "app": number + 1} for number in range(MAX_RULES)]
    made = reader("combined", rules=rules, endpoints=[f"/{number}/{{id}}" for number in range(MAX_ENDPOINTS)])
    [found] = made.read(b'h - - [29/Nov/2025:10:00:12 +0000] "GET /999/x HTTP/1.1" 200 5 "-" "-"').sums
    assert (found.subject, found.path) == ("app/1000", "/999/{id}")
