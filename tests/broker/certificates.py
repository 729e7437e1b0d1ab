"""Certificates and tokens of the tests: one authority, a server, a client, and signed JSON web tokens."""

from __future__ import annotations

import base64
import datetime
import ipaddress
import json
import time
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.x509.oid import NameOID

KEY_PASSWORD = "key-password-of-the-tests"
ISSUER = "https://issuer.test"
AUDIENCE = "kafka.test"


@dataclass(frozen=True, slots=True)
class Certificates:
    """PEM files. ``stranger_ca`` signed nothing here: a client that trusts only it must refuse the server."""

    ca: Path
    stranger_ca: Path
    server: Path  # private key and certificate in one file, as Kafka's PEM key store wants
    client_cert: Path
    client_key: Path
    client_key_encrypted: Path
    jwks: Path
    signer: rsa.RSAPrivateKey

    def token(self, subject: str = "alice", valid_s: int = 600, audience: str = AUDIENCE) -> str:
        """A JSON web token signed with RS256 by the key in ``jwks``."""
        now = int(time.time())
        claims = {"sub": subject, "iss": ISSUER, "aud": audience, "iat": now, "exp": now + valid_s, "scope": "kafka"}
        signed = ".".join(_base64url(json.dumps(part).encode()) for part in ({"alg": "RS256", "typ": "JWT", "kid": "1"}, claims))
        signature = self.signer.sign(signed.encode(), padding.PKCS1v15(), hashes.SHA256())
        return f"{signed}.{_base64url(signature)}"


def make_certificates(folder: Path) -> Certificates:
    """Write a fresh set into ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    ca_key, ca = _authority("driftgauge test authority")
    _, stranger = _authority("another authority")
    server_key, server = _leaf("localhost", ca_key, ca)
    client_key, client = _leaf("client", ca_key, ca)
    signer = rsa.generate_private_key(65537, 2048)
    public = signer.public_key().public_numbers()
    files = {
        "ca.pem": _pem(ca),
        "stranger.pem": _pem(stranger),
        "server.pem": _key_pem(server_key) + _pem(server) + _pem(ca),
        "client.pem": _pem(client),
        "client.key": _key_pem(client_key),
        "client-encrypted.key": _key_pem(client_key, KEY_PASSWORD),
        "jwks.json": json.dumps(
            {"keys": [{"kty": "RSA", "alg": "RS256", "use": "sig", "kid": "1", "n": _number(public.n), "e": _number(public.e)}]}
        ).encode(),
    }
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return Certificates(*(folder / name for name in files), signer)


def _authority(name: str) -> tuple[rsa.RSAPrivateKey, x509.Certificate]:
    key = rsa.generate_private_key(65537, 2048)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    usage = x509.KeyUsage(
        digital_signature=True, key_cert_sign=True, crl_sign=True, content_commitment=False, key_encipherment=False,
        data_encipherment=False, key_agreement=False, encipher_only=False, decipher_only=False,
    )  # fmt: skip
    builder = _builder(subject, subject, key).add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    builder = builder.add_extension(usage, critical=True)
    builder = builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    return key, builder.sign(key, hashes.SHA256())


def _leaf(name: str, ca_key: rsa.RSAPrivateKey, ca: x509.Certificate) -> tuple[rsa.RSAPrivateKey, x509.Certificate]:
    key = rsa.generate_private_key(65537, 2048)
    names = x509.SubjectAlternativeName([x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    builder = _builder(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]), ca.subject, key)
    builder = builder.add_extension(names, critical=False)
    builder = builder.add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key()), critical=False)
    return key, builder.sign(ca_key, hashes.SHA256())


def _builder(subject: x509.Name, issuer: x509.Name, key: rsa.RSAPrivateKey) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.UTC)
    builder = x509.CertificateBuilder().subject_name(subject).issuer_name(issuer).public_key(key.public_key())
    builder = builder.serial_number(x509.random_serial_number())
    return builder.not_valid_before(now - datetime.timedelta(hours=1)).not_valid_after(now + datetime.timedelta(days=2))


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def _key_pem(key: rsa.RSAPrivateKey, password: str | None = None) -> bytes:
    locked: serialization.KeySerializationEncryption = serialization.NoEncryption()
    if password is not None:
        locked = serialization.BestAvailableEncryption(password.encode())
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, locked)


def _base64url(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _number(value: int) -> str:
    return _base64url(value.to_bytes((value.bit_length() + 7) // 8, "big"))
