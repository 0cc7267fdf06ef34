"""JSON Web Tokens of a configured issuer as a way to say who asks, beside API keys.

A token is taken only if its algorithm is one of the allowed ones and its signature fits a key that was meant for that
algorithm: the secret for HS256, keys of the JWKS file by their type for the others. So a public key never serves as a
secret, and `none` is no algorithm here. joserfc is imported at the first token: most servers never see one.
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import structlog

from weighbridge.domain.errors import InvalidInputError, StorageError
from weighbridge.http.auth import offered_keys
from weighbridge.http.route import Principal
from weighbridge.model import Scope

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from os import PathLike

    from joserfc.jwk import Key as JwtKey
    from joserfc.jws import JWSRegistry

    from weighbridge.http.route import Call
    from weighbridge.model import CatalogView

ALGORITHMS = ("HS256", "RS256", "ES256", "EdDSA")
"""What a setting may allow."""
MAX_TOKEN_LENGTH = 8192
"""Longest token that is looked at: what other servers take as a whole header."""
MAX_KEYS = 32
"""Keys of a JWKS file that are used: an issuer has two or three, and each may cost a try."""
MAX_JWKS_BYTES = 1024 * 1024
"""Largest JWKS file that is read."""
MAX_SUBJECT = 128
"""Longest subject that names a caller as it is; a longer one is named by its digest."""

_KEY_TYPES = {"RS256": "RSA", "ES256": "EC", "EdDSA": "OKP"}
_CURVES = {"ES256": ("P-256",), "EdDSA": ("Ed25519", "Ed448")}
_MIN_RSA_BYTES = 256  # RFC 7518, 3.3
_MIN_SECRET_BYTES = 32  # RFC 7518, 3.2
_log = structlog.get_logger("weighbridge.jwt")


@dataclass(frozen=True, slots=True)
class JwtSettings:
    """Whose tokens are taken. Without `issuer` or `audience` that claim is not compared.

    `secret` is for HS256, `jwks_file` (public keys; read again when it changes) for the others. InvalidInputError: an
    unknown algorithm, or nothing to check a signature with.
    """

    issuer: str | None = None
    audience: str | None = None
    algorithms: tuple[str, ...] = ALGORITHMS
    secret: str | None = None
    jwks_file: str | PathLike[str] | None = None
    organization_claim: str = "org"
    leeway_s: int = 30

    def __post_init__(self) -> None:
        unknown = [name for name in self.algorithms if name not in ALGORITHMS]
        if unknown or not self.algorithms:
            detail = f"no algorithm {', '.join(unknown)}; there are {', '.join(ALGORITHMS)}"
            raise InvalidInputError(detail, where="jwt.algorithms")
        if not self.secret and self.jwks_file is None:
            raise InvalidInputError("set a secret (HS256) or a JWKS file (RS256, ES256, EdDSA)", where="jwt.secret")
        if self.leeway_s < 0:
            raise InvalidInputError("the leeway is a number of seconds from 0", where="jwt.leeway_s")


def make_authenticator(settings: JwtSettings, granted: Scope) -> Callable[[Call], Principal | None]:
    """A function that names the bearer of a call's token, or None where no valid token came.

    The principal holds `granted` if the token's `scope` or `scopes` names it, and no other scope ever. The function
    raises StorageError if the JWKS file cannot be read.
    """
    if settings.secret and len(settings.secret.encode()) < _MIN_SECRET_BYTES:
        _log.warning("the JWT secret is short enough to be guessed", bytes=len(settings.secret.encode()))
    check = _TokenCheck(settings)

    def authenticate(call: Call) -> Principal | None:
        for token in offered_keys(call.headers, ("bearer",)):
            claims = check.claims(token, call.services.clock.now_us() // 1_000_000)
            if claims is not None:
                return _principal(claims, call.services.catalog.view(), settings.organization_claim, granted)
        return None

    return authenticate


class _TokenCheck:
    """Signature and dates of tokens."""

    def __init__(self, settings: JwtSettings) -> None:
        self._settings = settings
        self._registries: dict[str, JWSRegistry] = {}
        self._secret: JwtKey | None = None
        self._file = None if settings.jwks_file is None else _KeyFile(settings.jwks_file)

    def claims(self, token: str, now_s: int) -> dict[str, Any] | None:
        """The claims of a valid token, else None."""
        header = _header_of(token)
        algorithm = header.get("alg") if header else None
        if header is None or algorithm not in self._settings.algorithms:
            return None
        for key in self._candidates(algorithm, header.get("kid")):
            claims = self._verified(token, key, algorithm)
            if claims is not None:
                return claims if self._are_good(claims, now_s) else None
        return None

    def _candidates(self, algorithm: str, key_id: object) -> Sequence[JwtKey]:
        """The keys that may have signed with this algorithm."""
        if algorithm == "HS256":
            if not self._settings.secret:
                return ()
            if self._secret is None:
                self._secret = _secret_key(self._settings.secret)
            return (self._secret,)
        if self._file is None:
            return ()
        fitting = [key for key in self._file.current() if _fits(key, algorithm)]
        named = [key for key in fitting if key_id is not None and key.kid == key_id]
        return named or [key for key in fitting if key_id is None or key.kid is None]

    def _verified(self, token: str, key: JwtKey, algorithm: str) -> dict[str, Any] | None:
        from joserfc import jwt  # noqa: PLC0415  see above
        from joserfc.errors import JoseError  # noqa: PLC0415

        if not self._registries:
            self._registries = {name: _registry(name) for name in ALGORITHMS}
        try:
            return jwt.decode(token, key, registry=self._registries[algorithm]).claims
        except (JoseError, ValueError, TypeError, RecursionError):
            return None

    def _are_good(self, claims: dict[str, Any], now_s: int) -> bool:
        from joserfc.errors import JoseError  # noqa: PLC0415
        from joserfc.jwt import ClaimsOption, JWTClaimsRegistry  # noqa: PLC0415

        options: dict[str, ClaimsOption] = {"exp": {"essential": True}}
        if self._settings.issuer is not None:
            options["iss"] = {"essential": True, "value": self._settings.issuer}
        if self._settings.audience is not None:
            options["aud"] = {"essential": True, "value": self._settings.audience}
        checked = {"exp", "nbf", "iss", "aud"}
        dated = {name: value for name, value in claims.items() if name in checked}
        try:
            JWTClaimsRegistry(now=now_s, leeway=self._settings.leeway_s, **options).validate(dated)
        except (JoseError, ValueError, TypeError):
            return False
        return True


class _KeyFile:
    """The public keys of a JWKS file, read again whenever the file has changed."""

    def __init__(self, path: str | PathLike[str]) -> None:
        self._path = Path(path)
        self._stamp: tuple[int, int, int] | None = None
        self._keys: tuple[JwtKey, ...] = ()

    def current(self) -> tuple[JwtKey, ...]:
        """The keys as of now; those from before while a new file is half written. StorageError: there were none yet."""
        try:
            found = self._path.stat()
            stamp = (found.st_mtime_ns, found.st_size, found.st_ino)
            if stamp != self._stamp:
                self._keys, self._stamp = _read_keys(self._path), stamp
        except (OSError, ValueError) as error:
            if self._stamp is None:
                raise StorageError(f"the JWKS file {self._path} cannot be read: {error}") from error
            _log.warning("the JWKS file cannot be read; older keys stay", file=str(self._path), error=str(error))
        return self._keys


def _read_keys(path: Path) -> tuple[JwtKey, ...]:
    """The signing keys of a file, those of other kinds left out. OSError, ValueError: not a JWKS file."""
    from joserfc.errors import JoseError  # noqa: PLC0415
    from joserfc.jwk import JWKRegistry  # noqa: PLC0415

    with path.open("rb") as file:
        content = file.read(MAX_JWKS_BYTES + 1)
    if len(content) > MAX_JWKS_BYTES:
        raise ValueError("larger than a JWKS file can be")
    listed = msgspec.json.decode(content, type=dict[str, Any]).get("keys")
    if not isinstance(listed, list):
        raise ValueError("no list of keys in it")  # noqa: TRY004  it is the file that is wrong
    keys: list[JwtKey] = []
    for each in listed[:MAX_KEYS]:
        if not isinstance(each, dict) or not _is_strong(each):
            continue
        try:
            keys.append(JWKRegistry.import_key(each))
        except (JoseError, ValueError, TypeError, KeyError) as error:
            _log.warning("a key of the JWKS file is left out", kid=each.get("kid"), error=str(error))
    return tuple(keys)


def _is_strong(key: Mapping[str, object]) -> bool:
    """Whether a JWK is asymmetric and, if RSA, long enough."""
    if key.get("kty") != "RSA":
        return key.get("kty") in ("EC", "OKP")
    modulus = _unbase64(str(key.get("n")))
    return modulus is not None and len(modulus) >= _MIN_RSA_BYTES


def _fits(key: JwtKey, algorithm: str) -> bool:
    curves = _CURVES.get(algorithm)
    return key.key_type == _KEY_TYPES[algorithm] and (curves is None or getattr(key, "curve_name", None) in curves)


def _secret_key(secret: str) -> JwtKey:
    from joserfc.jwk import OctKey  # noqa: PLC0415  see above

    raw = secret.encode()
    return OctKey(raw, raw)  # not `import_key`: it warns of short secrets by Python's warnings; we did in the log


def _registry(algorithm: str) -> JWSRegistry:
    """One algorithm and nothing else, for tokens with whatever other header parameters."""
    from joserfc.jws import JWSRegistry  # noqa: PLC0415

    class Registry(JWSRegistry):
        algorithms = {algorithm: _quiet(JWSRegistry.algorithms[algorithm])}  # noqa: RUF012  never changed
        max_header_length = MAX_TOKEN_LENGTH
        max_payload_length = MAX_TOKEN_LENGTH

    return Registry(algorithms=[algorithm], strict_check_header=False)


def _quiet(algorithm: Any) -> Any:  # noqa: ANN401  joserfc's models are not public
    """The algorithm without its warning: the name EdDSA is out of fashion (RFC 9864), the algorithm is not."""
    kind = type(algorithm)
    if algorithm.security_warning is None:
        return algorithm
    return type(kind.__name__, (kind,), {"security_warning": None})()


def _header_of(token: str) -> dict[str, Any] | None:
    """The header of what looks like a token, unchecked; None for what does not."""
    if len(token) > MAX_TOKEN_LENGTH or token.count(".") != 2:  # noqa: PLR2004  a signed token in its compact form
        return None
    header = _unbase64(token.partition(".")[0])
    if header is None:
        return None
    try:
        return msgspec.json.decode(header, type=dict[str, Any])
    except (ValueError, RecursionError):
        return None


def _unbase64(text: str) -> bytes | None:
    try:
        return base64.b64decode(text.encode("ascii") + b"=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (UnicodeEncodeError, binascii.Error):
        return None


def _principal(claims: dict[str, Any], view: CatalogView, claim: str, granted: Scope) -> Principal | None:
    """Whom valid claims speak of; None where they name no organization that there is."""
    name = claims.get(claim)
    if not isinstance(name, str):
        return None
    organization = view.organizations.get(name)
    if organization is None:
        organization = next((each for each in tuple(view.organizations.values()) if each.slug == name), None)
    if organization is None or organization.deleted_at_s is not None:
        return None
    scopes = frozenset((granted,)) if granted.value in _scopes(claims) else frozenset[Scope]()
    return Principal(f"jwt:{_subject(claims)}", organization.id, None, scopes)


def _scopes(claims: dict[str, Any]) -> set[str]:
    """What `scope` and `scopes` hold, each a list or a text with spaces between."""
    held: set[str] = set()
    for value in (claims.get("scope"), claims.get("scopes")):
        words = value.split() if isinstance(value, str) else value
        if isinstance(words, list):
            held.update(word for word in words if isinstance(word, str))
    return held


def _subject(claims: dict[str, Any]) -> str:
    subject = claims.get("sub")
    if isinstance(subject, str) and 0 < len(subject) <= MAX_SUBJECT:
        return subject
    return sha256(repr(subject or sorted(claims.items(), key=lambda item: item[0])).encode()).hexdigest()[:32]
