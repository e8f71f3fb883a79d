"""Certificates as C2PA wants them, made when they are needed: a root, and one that signs."""

from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

MAKE = {
    "es256": lambda: ec.generate_private_key(ec.SECP256R1()),
    "es384": lambda: ec.generate_private_key(ec.SECP384R1()),
    "es512": lambda: ec.generate_private_key(ec.SECP521R1()),
    "ps256": lambda: rsa.generate_private_key(public_exponent=65537, key_size=2048),
    "ed25519": ed25519.Ed25519PrivateKey.generate,
}
PRIVATE = {"encoding": serialization.Encoding.PEM,
           "format": serialization.PrivateFormat.PKCS8,
           "encryption_algorithm": serialization.NoEncryption()}  # fmt: skip


def name(text):
    return x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME, "run-model tests"),
                      x509.NameAttribute(NameOID.COMMON_NAME, text)])  # fmt: skip


def certificate(subject, key, issuer, issuer_key, authority):
    now = datetime.now(UTC)
    usage = {u: False for u in ("digital_signature", "content_commitment", "key_encipherment",
                                "data_encipherment", "key_agreement", "key_cert_sign", "crl_sign",
                                "encipher_only", "decipher_only")}  # fmt: skip
    usage["key_cert_sign" if authority else "digital_signature"] = True
    identifier = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    above = x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key())
    made = (
        x509.CertificateBuilder()
        .subject_name(name(subject))
        .issuer_name(name(issuer))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=2))
        .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
        .add_extension(x509.KeyUsage(**usage), critical=True)
        .add_extension(identifier, critical=False)
        .add_extension(above, critical=False)
    )
    if not authority:
        kinds = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION])
        made = made.add_extension(kinds, critical=False)
    signed_by = None if isinstance(issuer_key, ed25519.Ed25519PrivateKey) else hashes.SHA256()
    return made.sign(issuer_key, signed_by).public_bytes(serialization.Encoding.PEM)


def write(folder, algorithm):
    """The files of a chain of two certificates, and of the key of the first."""
    folder.mkdir(exist_ok=True)
    root, key = MAKE[algorithm](), MAKE[algorithm]()
    chain = certificate("signer", key, "root", root, False)
    chain += certificate("root", root, "root", root, True)
    (folder / "cert.pem").write_bytes(chain)
    (folder / "key.pem").write_bytes(key.private_bytes(**PRIVATE))
    return folder / "cert.pem", folder / "key.pem"
