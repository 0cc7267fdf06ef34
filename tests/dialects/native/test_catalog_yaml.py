"""The catalog file as YAML: what is read, and what is refused without a fault of the server."""

from __future__ import annotations

import time

import pytest

from weighbridge.dialects.native.catalog_yaml import MAX_DEPTH, read_yaml
from weighbridge.http.failures import UnreadableBodyError


@pytest.mark.parametrize(("text", "value"), [
    ("", None),
    ("# nothing\n", None),
    ("{}", {}),
    ("a: 1\nb: [x, 'y', null, true, 1.5]", {"a": 1, "b": ["x", "y", None, True, 1.5]}),
    ('{"a": [1, {"b": "\\u00e9"}]}', {"a": [1, {"b": "é"}]}),
    ("from: 2025-12-01", {"from": "2025-12-01"}),
    ("from: 2025-12-01T10:00:00Z", {"from": "2025-12-01T10:00:00Z"}),
    ("from: 2025-13-45", {"from": "2025-13-45"}),
    ("a: &a {x: 1}\nb: *a", {"a": {"x": 1}, "b": {"x": 1}}),
    ("a: &a {x: 1}\nb: {<<: *a, y: 2}", {"a": {"x": 1}, "b": {"x": 1, "y": 2}}),
    ("name: 日本", {"name": "日本"}),
    ("1: x", {1: "x"}),
])
def test_read(text: str, value: object) -> None:
    assert read_yaml(text.encode()) == value


BOMB = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{name}: &{name} [{','.join([f'*{before}'] * 9)}]\n" for before, name in zip("abcdefgh", "bcdefghi", strict=True))
MERGES = "a: &a {x: 1}\n" + "".join(
    f"k{n}: &k{n} {{<<: [*{'a' if n == 0 else f'k{n - 1}'}, *{'a' if n == 0 else f'k{n - 1}'}]}}\n" for n in range(40))
CHAIN = "k0: &k0 [x]\n" + "".join(f"k{n}: &k{n} [*k{n - 1}]\n" for n in range(1, 500))


@pytest.mark.parametrize(("body", "words"), [
    (b"a: [1, 2", "no YAML: line"),
    (b"a: b: c", "line 1, column 5"),
    (b"a:\n\t- x", "line 2"),
    (b"\xff\xfe\xff", "no YAML"),
    (b"a: \x00", "no YAML"),
    (b"a: 1\n---\nb: 2", "document"),
    (b"a: *nowhere", "alias"),
    (b"a: !!python/object/apply:os.system [x]", "tag"),
    (b"a: !!timestamp x", "tag"),
    (b"a: !!binary '*'", "tag"),
    (b"a: !!set {x}", "tag"),
    (b"a: !!int x", "cannot be read"),
    (b"a: !!bool x", "cannot be read"),
    (b"a: " + b"9" * 5000, "cannot be read"),
    (b"? [a]\n: b", "no YAML"),
    (b"a: 1\na: 2", "the key 'a' stands here twice (line 2)"),
    (b"&a [*a]", "holds itself"),
    (b"[" * (MAX_DEPTH + 1), "levels"),
    (b"[" * 1_000_000, "levels"),
    (b"- " * 100_000, "levels"),
    (b"{a: " * 100_000, "levels"),
    (BOMB.encode(), "too large"),
    (MERGES.encode(), "too large"),
    (CHAIN.encode(), "too large"),
])
def test_refused(body: bytes, words: str) -> None:
    began = time.process_time()
    with pytest.raises(UnreadableBodyError) as error:
        read_yaml(body)
    assert words in str(error.value)
    assert len(str(error.value)) < 400
    assert time.process_time() - began < 5  # generous: without the bounds some of these take for ever


def test_the_deepest_that_is_taken() -> None:
    assert read_yaml(b"[" * MAX_DEPTH + b"]" * MAX_DEPTH) is not None
