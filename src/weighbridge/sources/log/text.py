r"""Lines of text: the common log format, and nginx's log_format strings.

Sources: Apache mod_log_config; nginx ngx_http_log_module (what is not printable is \xHH, with `escape=json` \uHHHH).

Most such formats are tokens with a space between, each bare or in quotes; those DuckDB's CSV reader can take apart. A line
that is not (a user name with a space, a list of upstreams) is held against the format as written: a variable reaches to
the text that follows it in the format, within quotes to the closing quote.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Final, NamedTuple

from weighbridge.domain.errors import InvalidInputError
from weighbridge.sources.log.lines import Line, Plan, csv_reader, first_of, read_amount
from weighbridge.sources.log.rules import HOST, BadLineError
from weighbridge.sources.log.times import find_shape

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from weighbridge.sources.log.lines import Wanted

COMMON: Final = '$remote_addr $remote_ident $remote_user [$time_local] "$request" $status $body_bytes_sent'
COMBINED: Final = COMMON + ' "$http_referer" "$http_user_agent"'
MAX_TOKENS: Final = 200
"""Most tokens of a format or a line."""
TIMES: Final = ("time_iso8601", "time_local", "msec")
HOSTS: Final = ("host", "http_host", "server_name")
BYTES_OUT: Final = ("bytes_sent", "body_bytes_sent")
BYTES_IN: Final = ("request_length",)
"""Variables of nginx that tell the same, the most complete first."""

VARIABLE = re.compile(r"\$(?:\{(\w+)\}|(\w+))", re.ASCII)
_WORD_QUOTED, _WORD_BARE = r'[^"\\]*+(?:\\.[^"\\]*+)*+', r'(?:[^" ][^ ]*+)?'
WORD: Final = f'(?:"({_WORD_QUOTED})"|({_WORD_BARE}))'
_WORD_PASSED = f'(?:"{_WORD_QUOTED}"|{_WORD_BARE})'
_FORMAT_WORD = re.compile(r'"[^"]*"|\[[^\]" ]*\]|[^ "]+')
_ESCAPE = re.compile(rb"\\(?:x([0-9A-Fa-f]{2})|u([0-9A-Fa-f]{4})|(.))", re.DOTALL)
_LETTERS = {b"n": b"\n", b"t": b"\t", b"r": b"\r", b"b": b"\b", b"f": b"\f", b"v": b"\v"}
_STATUS = re.compile(r"[0-9]{3}|-")
_LIST = r"[^ ]*+(?:(?<=,) [^ ]++| : [^ ]++)*+"
"""Several upstreams that were tried are written `a, b : c` (nginx ngx_http_upstream_module)."""


def unescape(text: str) -> str:
    """What was logged, without the backslashes of nginx and Apache. What then is no UTF-8 are lone surrogates."""
    if "\\" not in text:
        return text
    raw = _ESCAPE.sub(_unescaped, text.encode("utf-8", "surrogateescape"))
    return raw.decode("utf-8", "surrogateescape")


def _unescaped(found: re.Match[bytes]) -> bytes:
    if found[1] is not None:
        return bytes((int(found[1], 16),))
    if found[2] is not None:
        return chr(int(found[2], 16)).encode("utf-8", "surrogatepass")
    return _LETTERS.get(found[3], found[3])


@lru_cache(16)
def _pattern_of_tokens(count: int) -> re.Pattern[str]:
    return re.compile(" ".join([WORD] * count), re.DOTALL)


def split_tokens(line: str, count: int, *, more: bool = False) -> list[str] | None:
    """The `count` tokens of a line, None: it has not as many. `more`: others may follow."""
    found = _pattern_of_tokens(count).match(line)
    if found is None or (found.end() < len(line) and not (more and line[found.end()] == " ")):
        return None
    parts = found.groups()
    return [parts[at] if parts[at] is not None else parts[at + 1] for at in range(0, 2 * count, 2)]


def count_tokens(line: str) -> int:
    """How many tokens a line has, 0 if it is not made of them or has more than MAX_TOKENS."""
    token = _pattern_of_tokens(1)
    count = at = 0
    while count < MAX_TOKENS and (found := token.match(line, at)):
        count += 1
        at = found.end()
        if at == len(line):
            return count
        if line[at] != " ":
            break
        at += 1
    return 0


class Tokens(NamedTuple):
    """Where each variable stands among the tokens of a format, and how many tokens there are."""

    places: Mapping[str, tuple[int, ...]]
    total: int


def find_tokens(text: str) -> Tokens | None:
    """The tokens of a log_format string; None: it is not made of them."""
    places: dict[str, tuple[int, ...]] = {}
    count = at = 0
    while True:
        found = _FORMAT_WORD.match(text, at)
        token = found[0] if found else ""
        inner = token[1:-1] if token[:1] in {'"', "["} else token
        is_time = "time_local" in inner and token[:1] != '"'  # has a space in it
        if not token or (is_time and inner not in {"$time_local", "${time_local}"}):
            return None
        if (variable := VARIABLE.fullmatch(inner)) and (token[0] != "[" or is_time):
            places.setdefault(variable[1] or variable[2], (count, count + 1) if is_time else (count,))
        count += 2 if is_time else 1
        at += len(token)
        if at == len(text):
            return Tokens(places, count)
        if text[at] != " " or count > MAX_TOKENS:
            return None
        at += 1


def _token_pattern(tokens: Tokens, needed: Sequence[str]) -> tuple[re.Pattern[str], tuple[tuple[int, ...], ...]]:
    """A pattern for lines of tokens, and for each needed variable the first groups of its tokens: in quotes, then bare."""
    wanted = sorted({at for name in needed for at in tokens.places[name]})
    words = [WORD if at in wanted else _WORD_PASSED for at in range(tokens.total)]
    groups = {at: 2 * number for number, at in enumerate(wanted)}
    return re.compile(" ".join(words), re.DOTALL), tuple(tuple(groups[at] for at in tokens.places[name]) for name in needed)


def _find_pattern(text: str, needed: Sequence[str]) -> tuple[re.Pattern[str], tuple[int, ...]]:
    """A pattern for lines of a log_format string, and the group of each needed variable.

    InvalidInputError: two variables stand side by side, so that nobody can tell where the first one ends.
    """
    found = list(VARIABLE.finditer(text))
    ends = [*(variable.start() for variable in found[1:]), len(text)]
    parts = [re.escape(text[: found[0].start()])]
    groups: dict[str, int] = {}
    for number, (variable, end) in enumerate(zip(found, ends, strict=True)):
        name, behind = variable[1] or variable[2], text[variable.end() : end]
        if not behind and number + 1 < len(found):
            raise InvalidInputError(
                f"format has {variable[0]}{found[number + 1][0]} with nothing between; write a space there, in the server's "
                "log_format too",
                where="format",
            )
        is_caught = name in needed and groups.setdefault(name, len(groups)) == len(groups) - 1
        reach = _reach(name, text[variable.start() - 1 : variable.start()], behind)
        parts.append(f"{'(' if is_caught else '(?:'}{reach}){re.escape(behind)}")
    return re.compile("".join(parts), re.DOTALL), tuple(groups[name] for name in needed)


def _reach(name: str, before: str, behind: str) -> str:
    """A pattern for a variable, which ends where `behind` begins; nothing is tried twice."""
    if before == '"' and behind.startswith('"'):
        return _WORD_QUOTED
    if not behind:
        return ".*+"
    if name.startswith("upstream_") and behind.startswith(" "):
        return _LIST
    first, rest = re.escape(behind[0]), re.escape(behind[1:])
    return f"[^{first}]*+(?:{first}(?!{rest})[^{first}]*+)*+" if rest else f"[^{first}]*+"


class TextFormat:
    """Lines of a log_format string. InvalidInputError: it tells no time, or not what is wanted of it."""

    odd = b"\0\r\\"
    separator = b" "
    ascii_only = True
    nested = False

    def __init__(self, text: str, wanted: Wanted, label: str = "format") -> None:
        known = dict.fromkeys(found[1] or found[2] for found in VARIABLE.finditer(text))
        self._label = label
        time = first_of(TIMES, known)
        if time is None:
            raise InvalidInputError("format tells no time; add [$time_local] to the server's log_format", where="format")
        self._time = time
        self._out = first_of(BYTES_OUT, known)
        self._in = first_of(BYTES_IN, known)
        self._status = first_of(("status",), known)
        self._names = tuple(self._find_name(name, known) for name in wanted.names)
        self._request = self._find_request(known) if wanted.request else ("", "", "")
        needed = dict.fromkeys((self._time, self._status, self._in, self._out, *self._names, *self._request))
        self._needed = tuple(name for name in needed if name)
        self._pattern, self._groups = _find_pattern(text, self._needed)
        tokens = find_tokens(text)
        self._tokens = tokens if tokens is not None and set(self._needed) <= set(tokens.places) else None
        if self._tokens is not None:
            self._token_pattern, self._token_groups = _token_pattern(self._tokens, self._needed)

    def _find_name(self, name: str, known: Mapping[str, object]) -> str:
        if name == HOST:
            host = first_of(HOSTS, known)
            if host is None:
                raise InvalidInputError(
                    f"{self._label} tells no host; add $host to the server's log_format, and write that here", where=HOST
                )
            return host
        if name.removeprefix("$") not in known:
            raise InvalidInputError(
                f"{self._label} has no {name}; it has {', '.join('$' + each for each in known)}", where=name
            )
        return name.removeprefix("$")

    def _find_request(self, known: Mapping[str, object]) -> tuple[str, str, str]:
        uri = first_of(("request_uri",), known) or ("" if "request" in known else first_of(("uri",), known)) or ""
        if not uri and "request" not in known:
            raise InvalidInputError(
                f'{self._label} tells no path, which rules or endpoints ask for; add "$request" to the server\'s log_format',
                where="format",
            )
        return (first_of(("request_method",), known) or "", uri, "request" if "request" in known else "")

    def read(self, line: str) -> Line:
        """What the line tells. BadLineError: it is no line of this format."""
        texts = self._find_texts(line)
        if self._status and not _STATUS.fullmatch(texts[self._status]):
            raise BadLineError("status is no number of three digits")
        method, uri, request = self._request
        return Line(
            texts[self._time],
            read_amount(texts[self._in], self._in) if self._in else None,
            read_amount(texts[self._out], self._out) if self._out else None,
            tuple([unescape(texts[name]) for name in self._names]),
            (texts.get(method, ""), texts.get(uri, ""), texts.get(request, "")),
        )

    def _find_texts(self, line: str) -> dict[str, str]:
        """The text of each needed variable. BadLineError: it is no line of this format."""
        if self._tokens is not None and (found := self._token_pattern.fullmatch(line)):
            parts = found.groups()
            texts = {}
            for name, places in zip(self._needed, self._token_groups, strict=True):
                words = [parts[at + 1] if parts[at] is None else parts[at] for at in places]
                texts[name] = words[0] if len(words) == 1 else " ".join(words)
            return texts
        found = self._pattern.fullmatch(line)
        if found is None:
            raise BadLineError(f"no line of {self._label}")
        parts = found.groups()
        return {name: parts[at] for name, at in zip(self._needed, self._groups, strict=True)}

    def plan(self, sample: str) -> Plan | None:
        """How DuckDB reads lines like this one. None: it cannot, or the line is no such line."""
        tokens = self._tokens
        if tokens is None or not self._token_pattern.fullmatch(sample):
            return None
        places = tokens.places
        shape = find_shape(self.read(sample).time)
        if shape is None:
            return None
        text = {name: f"c{at[0]}" for name, at in places.items()}
        method, uri, request = self._request
        return Plan(
            reader=csv_reader(tokens.total, " ", '"'),
            time=tuple(f"c{at}" for at in places[self._time]),
            shape=shape,
            bytes_in=text[self._in] if self._in else None,
            bytes_out=text[self._out] if self._out else None,
            names=tuple(text[name] for name in self._names),
            request=(text.get(method, "''"), text.get(uri, "''"), text.get(request, "''")) if any(self._request) else None,
            good=(f"{text[self._status]} GLOB '[0-9][0-9][0-9]'",) if self._status else (),
        )

    def value(self, text: str | None) -> str:
        """The value of a text that DuckDB found."""
        return unescape(text or "")

    unescape = staticmethod(unescape)
