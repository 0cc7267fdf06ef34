"""One body to a server and back, and what is believed of the answer."""

from __future__ import annotations

import json
import socket
import ssl
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from support.answers import Reply, answering
from support.process import free_port
from weighbridge.reporter.post import ANSWER_BYTES, Answer, NoAnswerError, Post, Receipt, read_receipt
from weighbridge.reporter.settings import Settings


def settings_for(url):
    return Settings(url, "secret", "app/1", "prod", 60)


def test_a_body_goes_whole_with_its_key_below_the_path_of_the_url():
    heard = []
    with answering(lambda asked: heard.append(asked) or Reply(503, b"later", {"Retry-After": "7"})) as url:
        post = Post(settings_for(f"{url}/behind/proxy"))
        answer = post(b"body", 5)
    assert answer == Answer(503, 7.0, b"later")
    asked, = heard
    assert (asked.method, asked.path, asked.body) == ("POST", "/behind/proxy/api/v1/events", b"body")
    assert (asked.headers["authorization"], asked.headers["content-encoding"]) == ("Bearer secret", "gzip")
    assert asked.headers["content-type"] == "application/cloudevents-batch+json"
    assert post.origin == url


@pytest.mark.parametrize(
    ("header", "wait_s"), [("0", 0.0), ("90", 60.0), ("9" * 40, None), ("-1", None), ("Thu", None), ("²", None)]
)
def test_how_long_to_wait_is_believed_within_bounds(header, wait_s):
    with answering(lambda _: Reply(429, b"", {"Retry-After": header})) as url:
        assert Post(settings_for(url))(b"", 5).retry_after_s == wait_s


def test_no_answer_is_an_error_of_its_own():
    with answering(lambda _: None) as url, pytest.raises(NoAnswerError):
        Post(settings_for(url))(b"body", 5)
    with pytest.raises(NoAnswerError, match="refused"):
        Post(settings_for(f"http://127.0.0.1:{free_port()}"))(b"body", 5)
    with pytest.raises(NoAnswerError):
        Post(settings_for(f"http://{'a' * 70}.invalid"))(b"body", 5)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        with pytest.raises(NoAnswerError, match="timed out"):
            Post(settings_for(f"http://127.0.0.1:{silent.getsockname()[1]}"))(b"body", 0.05)
        with pytest.raises(NoAnswerError):
            Post(settings_for(f"https://127.0.0.1:{silent.getsockname()[1]}"))(b"body", 0.05)


@pytest.fixture
def certificate(tmp_path):
    """A certificate of 127.0.0.1 by itself, with its key, in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    signed = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key()).serial_number(1)
        .not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    file = tmp_path / "own.pem"
    file.write_bytes(signed.public_bytes(pem) + key.private_bytes(
        pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()))
    return file


def test_over_tls_only_to_whom_the_machine_trusts(certificate, monkeypatch):
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate)
    heard = []
    with answering(lambda asked: heard.append(asked.body) or Reply(200, b"{}"), tls) as url:
        with pytest.raises(NoAnswerError, match="CERTIFICATE_VERIFY_FAILED"):
            Post(settings_for(url))(b"body", 5)
        assert heard == []
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        assert Post(settings_for(url))(b"body", 5) == Answer(200, None, b"{}")
    assert heard == [b"body"]


def test_an_endless_answer_is_read_no_further():
    with answering(lambda _: Reply(200, b"x" * (ANSWER_BYTES + 1))) as url:
        assert len(Post(settings_for(url))(b"", 5).content) == ANSWER_BYTES


REFUSED = {"index": 1, "id": "1-1", "code": "too_many", "detail": "so many"}


def test_a_receipt_is_read():
    told = {"accepted": 1, "duplicates": 1, "rejected": [REFUSED]}
    assert read_receipt(Answer(200, None, json.dumps(told).encode()), 3) == Receipt(1, 1, ((1, "too_many", "so many"),))


@pytest.mark.parametrize(
    ("status", "content"),
    [
        (200, b"<html>please log in</html>"),
        (200, b""),
        (200, b"[]"),
        (200, b"{}"),
        (200, b"[" * 100_000),
        (200, b"\xff"),
        (200, b'{"accepted": 3, "duplicates": 0}'),
        (200, b'{"accepted": 2, "duplicates": 0, "rejected": []}'),
        (200, b'{"accepted": 4, "duplicates": 0, "rejected": []}'),
        (200, json.dumps({"accepted": 1, "duplicates": 0, "rejected": [REFUSED, REFUSED]}).encode()),
        (200, json.dumps({"accepted": 2, "duplicates": 0, "rejected": [{**REFUSED, "index": 3}]}).encode()),
        (200, json.dumps({"accepted": 2, "duplicates": 0, "rejected": [{"index": 1}]}).encode()),
        (202, b'{"accepted": 3, "duplicates": 0, "rejected": []}'),
        (503, b'{"accepted": 3, "duplicates": 0, "rejected": []}'),
    ],
)
def test_what_is_no_receipt_for_these_events_proves_nothing(status, content):
    assert read_receipt(Answer(status, None, content), 3) is None
