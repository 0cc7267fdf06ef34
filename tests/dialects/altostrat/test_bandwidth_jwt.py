"""CONTRACT 5.5 with tokens: whose are taken, and whose never are."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
import warnings
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given, settings
from hypothesis import strategies as st
from joserfc import jwt
from joserfc.jwk import ECKey, OctKey, OKPKey, RSAKey

from support.kit import NOW_S
from support.seed_world import OTHER, VIEWER, World
from weighbridge.dialects.altostrat.routes import make_dialect
from weighbridge.domain.errors import InvalidInputError
from weighbridge.http.jwt import ALGORITHMS, MAX_TOKEN_LENGTH, JwtSettings

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

HQ = "d290f1ee-6c54-4b01-90e6-d701748f0851"
PATH = f"/vpn/instances/{HQ}/bandwidth"
SECRET = "a secret of more than thirty-two bytes"
ISSUER, AUDIENCE = "https://issuer.example", "weighbridge"
KEYS: dict[str, Any] = {
    "HS256": OctKey.import_key(SECRET),
    "RS256": RSAKey.generate_key(2048, {"kid": "rsa-1"}),
    "ES256": ECKey.generate_key("P-256", {"kid": "ec-1"}),
    "EdDSA": OKPKey.generate_key("Ed25519", {"kid": "ed-1"}),
}
CLAIMS = {
    "iss": ISSUER, "aud": AUDIENCE, "sub": "user-1", "org": "org_acme", "scope": "profile vpn:view", "exp": NOW_S + 60,
}


def signed(claims: dict[str, Any], algorithm: str = "HS256", key: Any = None, **header: Any) -> str:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the library has a word on the name EdDSA
        return jwt.encode({"alg": algorithm, **header}, claims, key or KEYS[algorithm], [algorithm])


def by_hand(header: dict[str, Any], claims: dict[str, Any], secret: bytes | None) -> str:
    def part(value: dict[str, Any]) -> str:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")

    body = f"{part(header)}.{part(claims)}"
    signature = b"" if secret is None else hmac.new(secret, body.encode(), hashlib.sha256).digest()
    return f"{body}.{base64.urlsafe_b64encode(signature).decode().rstrip('=')}"


def write_jwks(path: Path, *names: str, **more: Any) -> Path:
    path.write_text(json.dumps({"keys": [KEYS[name].as_dict(private=False) for name in names], **more}))
    return path


def settings_of(tmp_path: Path, **changed: Any) -> JwtSettings:
    usual: dict[str, Any] = {
        "issuer": ISSUER,
        "audience": AUDIENCE,
        "secret": SECRET,
        "jwks_file": write_jwks(tmp_path / "jwks.json", "RS256", "ES256", "EdDSA"),
    }
    return JwtSettings(**usual | changed)


def world_of(jwt_settings: JwtSettings) -> World:
    world = World(make_dialect(jwt_settings), rate_limits=True)
    world.vpn(HQ)
    return world


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with world_of(settings_of(tmp_path)) as found:
        yield found


def status_of(world: World, token: str) -> int:
    return world.get(PATH, secret=token).status_code


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_each_algorithm(world: World, algorithm: str) -> None:
    assert status_of(world, signed(CLAIMS, algorithm)) == 200
    head, body, signature = signed(CLAIMS, algorithm).split(".")
    forged = base64.urlsafe_b64encode(json.dumps(CLAIMS | {"org": OTHER}).encode()).decode().rstrip("=")
    assert status_of(world, f"{head}.{forged}.{signature}") == 401
    assert status_of(world, f"{head}.{body}.") == 401
    stranger = {
        "HS256": OctKey.generate_key(256),
        "RS256": RSAKey.generate_key(2048),
        "ES256": ECKey.generate_key("P-256"),
        "EdDSA": OKPKey.generate_key("Ed25519"),
    }[algorithm]
    assert status_of(world, signed(CLAIMS, algorithm, stranger)) == 401


@pytest.mark.parametrize(
    ("changed", "status"),
    [
        ({}, 200),
        ({"exp": NOW_S - 29}, 200),  # the leeway
        ({"exp": NOW_S - 30}, 401),
        ({"exp": None}, 401),
        ({"exp": "tomorrow"}, 401),
        ({"exp": True}, 401),
        ({"exp": NOW_S + 0.5}, 200),
        ({"nbf": NOW_S + 30}, 200),
        ({"nbf": NOW_S + 31}, 401),
        ({"nbf": "now"}, 401),
        ({"iat": "whenever"}, 200),  # not ours to judge
        ({"iss": "https://elsewhere.example"}, 401),
        ({"iss": None}, 401),
        ({"aud": "another"}, 401),
        ({"aud": None}, 401),
        ({"aud": ["another", AUDIENCE]}, 200),
        ({"aud": ["another"]}, 401),
        ({"aud": []}, 401),
        ({"org": "acme"}, 200),  # the slug
        ({"org": "org_nobody"}, 401),
        ({"org": None}, 401),
        ({"org": ["org_acme"]}, 401),
        ({"org": OTHER}, 404),
        ({"scope": "profile"}, 403),
        ({"scope": None}, 403),
        ({"scope": "vpn:viewer"}, 403),
        ({"scope": ["vpn:view"]}, 200),
        ({"scope": {"vpn:view": True}}, 403),
        ({"scope": None, "scopes": ["a", 1, "vpn:view"]}, 200),
        ({"scope": None, "scopes": "a vpn:view"}, 200),
        ({"scope": "admin"}, 403),
        ({"sub": 5}, 200),
        ({"sub": None}, 200),
        ({"sub": "x" * 500}, 200),
    ],
)
def test_claims(world: World, changed: dict[str, Any], status: int) -> None:
    claims = {name: value for name, value in (CLAIMS | changed).items() if value is not None}
    assert status_of(world, signed(claims)) == status


def test_a_token_of_a_deleted_organization(world: World) -> None:
    world.organization("org_acme", deleted_at_s=1)
    assert status_of(world, signed(CLAIMS)) == 401


def test_none_is_no_algorithm(world: World) -> None:
    for name in ("none", "None", "NONE", "", None, ["HS256"], 5):
        assert status_of(world, by_hand({"alg": name}, CLAIMS, None)) == 401
    assert status_of(world, by_hand({"alg": "HS256"}, CLAIMS, None)) == 401
    assert status_of(world, by_hand({"typ": "JWT"}, CLAIMS, SECRET.encode())) == 401
    assert status_of(world, by_hand({"alg": "HS256"}, CLAIMS, SECRET.encode())) == 200  # so the hand writes rightly


def test_a_public_key_is_no_secret(world: World) -> None:
    public = KEYS["RS256"].raw_value.public_key()
    for encoding in (Encoding.PEM, Encoding.DER):
        secret = public.public_bytes(encoding, PublicFormat.SubjectPublicKeyInfo)
        for header in ({"alg": "HS256"}, {"alg": "HS256", "kid": "rsa-1"}):
            assert status_of(world, by_hand(header, CLAIMS, secret)) == 401


def test_keys_serve_only_their_own_algorithm(tmp_path: Path) -> None:
    with world_of(settings_of(tmp_path, secret=None)) as world:
        assert status_of(world, signed(CLAIMS)) == 401
        assert status_of(world, signed(CLAIMS, "RS256")) == 200
    with world_of(settings_of(tmp_path, jwks_file=None)) as world:
        assert status_of(world, signed(CLAIMS, "RS256")) == 401
        assert status_of(world, signed(CLAIMS)) == 200
    with world_of(settings_of(tmp_path, algorithms=("ES256",))) as world:
        found = {name: status_of(world, signed(CLAIMS, name)) for name in ALGORITHMS}
        assert found == {"HS256": 401, "RS256": 401, "ES256": 200, "EdDSA": 401}
    symmetric = tmp_path / "symmetric.json"
    symmetric.write_text(json.dumps({"keys": [KEYS["HS256"].as_dict()]}))
    with world_of(settings_of(tmp_path, secret=None, jwks_file=symmetric)) as world:
        assert status_of(world, signed(CLAIMS)) == 401


def test_key_ids(world: World) -> None:
    assert status_of(world, signed(CLAIMS, "RS256", kid="rsa-1")) == 200
    assert status_of(world, signed(CLAIMS, "RS256")) == 200
    assert status_of(world, signed(CLAIMS, "RS256", kid="rsa-2")) == 401
    assert status_of(world, signed(CLAIMS, "ES256", kid="rsa-1")) == 401


def test_a_key_for_encryption_signs_nothing(tmp_path: Path) -> None:
    path = tmp_path / "use.json"
    path.write_text(json.dumps({"keys": [KEYS["ES256"].as_dict(private=False) | {"use": "enc"}]}))
    with world_of(settings_of(tmp_path, jwks_file=path)) as world:
        assert status_of(world, signed(CLAIMS, "ES256")) == 401


def test_a_changed_file_is_read_again(tmp_path: Path) -> None:
    path = write_jwks(tmp_path / "keys.json", "RS256")
    with world_of(settings_of(tmp_path, jwks_file=path)) as world:
        assert [status_of(world, signed(CLAIMS, name)) for name in ("RS256", "ES256")] == [200, 401]
        write_jwks(path, "ES256")
        os.utime(path, ns=(1, 1))
        assert [status_of(world, signed(CLAIMS, name)) for name in ("RS256", "ES256")] == [401, 200]
        path.write_text('{"keys": [')  # half written
        os.utime(path, ns=(2, 2))
        assert status_of(world, signed(CLAIMS, "ES256")) == 200
        path.unlink()
        assert status_of(world, signed(CLAIMS, "ES256")) == 200


@pytest.mark.parametrize("content", [None, "", "[]", '{"keys": {}}', "{" * 100_000])
def test_a_file_that_never_was_right_is_our_fault(tmp_path: Path, content: str | None) -> None:
    path = tmp_path / "bad.json"
    if content is not None:
        path.write_text(content)
    with world_of(settings_of(tmp_path, jwks_file=path)) as world:
        assert status_of(world, signed(CLAIMS, "ES256")) == 503
        assert status_of(world, signed(CLAIMS)) == 200
        assert status_of(world, VIEWER) == 200


def test_keys_that_are_none_are_left_out(tmp_path: Path) -> None:
    path = tmp_path / "mixed.json"
    good = KEYS["ES256"].as_dict(private=False)
    bad = [1, {}, {"kty": "RSA"}, {"kty": "RSA", "n": "AQAB", "e": "AQAB"}, {"kty": "EC", "crv": "P-256"}, {"kty": []}]
    path.write_text(json.dumps({"keys": [*bad, good]}))
    with world_of(settings_of(tmp_path, jwks_file=path)) as world:
        assert status_of(world, signed(CLAIMS, "ES256")) == 200


def test_a_claim_of_another_name_and_no_issuer_or_audience(tmp_path: Path) -> None:
    claim = "https://weighbridge.example/org"
    with world_of(settings_of(tmp_path, organization_claim=claim, issuer=None, audience=None)) as world:
        claims = {claim: "org_acme", "scope": "vpn:view", "exp": NOW_S + 5}
        assert status_of(world, signed(claims)) == 200
        assert status_of(world, signed(CLAIMS)) == 401


def test_a_token_is_bounded(world: World) -> None:
    assert status_of(world, signed(CLAIMS | {"pad": "x" * 4000})) == 200
    assert len(signed(CLAIMS | {"pad": "x" * 8000})) > MAX_TOKEN_LENGTH
    assert status_of(world, signed(CLAIMS | {"pad": "x" * 8000})) == 401


def test_only_as_a_bearer(world: World) -> None:
    token = signed(CLAIMS)
    for headers, status in (
        ({"Authorization": f"Bearer {token}"}, 200),
        ({"Authorization": f"bearer {token}"}, 200),
        ({"Authorization": token}, 401),
        ({"Api-Key": token}, 401),
    ):
        assert world.get(PATH, secret=None, headers=headers).status_code == status


def test_calls_are_counted_by_subject(world: World) -> None:
    for _ in range(60):
        assert status_of(world, signed(CLAIMS)) == 200
    assert status_of(world, signed(CLAIMS | {"exp": NOW_S + 61})) == 429
    assert status_of(world, signed(CLAIMS | {"sub": "user-2"})) == 200


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"secret": ""},
        {"secret": "x", "algorithms": ()},
        {"secret": "x", "algorithms": ("none",)},
        {"secret": "x", "algorithms": ("HS256", "HS512")},
        {"secret": "x", "leeway_s": -1},
    ],
)
def test_settings_that_cannot_be(fields: dict[str, Any]) -> None:
    with pytest.raises(InvalidInputError):
        JwtSettings(**fields)


def test_a_short_secret_works(tmp_path: Path) -> None:
    with world_of(settings_of(tmp_path, secret="short")) as world:
        assert status_of(world, by_hand({"alg": "HS256"}, CLAIMS, b"short")) == 200


PARTS = st.one_of(
    st.binary(max_size=30).map(lambda part: base64.urlsafe_b64encode(part).decode().rstrip("=")),
    st.recursive(
        st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5)),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
            st.sampled_from(["alg", "kid", "crit", "b64", "typ", "exp", "org"]), inner, max_size=3),
        max_leaves=6,
    ).map(lambda value: base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")),
    st.sampled_from([
        base64.urlsafe_b64encode(json.dumps({"alg": name, **more}).encode()).decode().rstrip("=")
        for name in ALGORITHMS
        for more in ({}, {"crit": ["b64"], "b64": False}, {"kid": 5}, {"zip": "DEF"}, {"jwk": {}})
    ]),
    st.text(alphabet="abc-_=.", max_size=8),
)


def test_garbage_is_refused(tmp_path: Path) -> None:
    with world_of(settings_of(tmp_path)) as world:

        @settings(max_examples=300, deadline=None)
        @given(PARTS, PARTS, PARTS)
        def refused(head: str, body: str, signature: str) -> None:
            assert status_of(world, f"{head}.{body}.{signature}") == 401

        refused()
    deep = base64.urlsafe_b64encode(b'{"alg":"HS256","x":' + b"[" * 3000).decode().rstrip("=")
    with world_of(settings_of(tmp_path)) as world:
        assert status_of(world, f"{deep}.e30.e30") == 401
