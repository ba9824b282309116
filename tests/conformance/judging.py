"""Published vectors, each case judged by the code that judges tokens; what is expected, and why.

A case may be read otherwise than it was published: by `overrides.json` beside the vectors, or
because we speak less than the standard allows (`Vectors.otherwise` says why).
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple

from authz_middleware.tokens import compact, introspection, jwk, signature, strict_json
from authz_middleware.tokens.introspection import NoAnswer
from authz_middleware.tokens.keys import KeySet, KeysUnusable, from_jwks, from_pem
from authz_middleware.tokens.rejection import Rejected

__all__ = ["DOORS", "REFUSALS", "VECTORS", "Case", "Row", "Vectors", "b64", "judged", "verifies"]


class Case(NamedTuple):
    """One case: what we did, what its publisher says, and what we hold to be right.

    None is "either": the publisher leaves it open.
    """

    name: str
    accepted: bool
    published: bool | None
    expected: bool | None


@dataclass(frozen=True)
class Vectors:
    """The cases of one file, seen in one way."""

    name: str
    file: str
    judge: Callable[[Path], Iterator[Case]]
    otherwise: str = ""  # why some cases are read otherwise than published


class Row(NamedTuple):
    """A line of the report."""

    name: str
    judged: int
    published: int  # judged as they were published, or where that is left open
    otherwise: int  # judged as we hold to be right, and not as published
    wrong: tuple[str, ...]  # neither
    why: str


def judged(vectors: Vectors, folder: Path) -> Row:
    """Judge every case of `vectors`."""
    cases = list(vectors.judge(folder / vectors.file))
    wrong = tuple(c.name for c in cases if c.expected not in (None, c.accepted))
    otherwise = sum(c.published not in (None, c.accepted) for c in cases if c.name not in wrong)
    right = len(cases) - len(wrong) - otherwise
    return Row(vectors.name, len(cases), right, otherwise, wrong, vectors.otherwise)


def b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def read(file: Path) -> Any:
    return json.loads(file.read_text("utf-8"))


# JOSE


def key_set(jwks: dict[str, Any]) -> KeySet:
    """The keys of a vector. Its HMAC keys are JWKs too, which no key set of ours may hold."""
    if all(members["kty"] == "oct" for members in jwks["keys"]):
        return KeySet(tuple(map(jwk.read, jwks["keys"])))
    return from_jwks(jwks)


def verifies(jwks: dict[str, Any], token: str) -> bool:
    """Whether a JWS passes every rule below the claims; anything but Rejected is a defect."""
    try:
        keys = key_set(jwks)
        signed = compact.decode(token)
        candidates = keys.candidates(signed.header["alg"], signed.header.get("kid"))
    except (Rejected, KeysUnusable):
        return False
    return any(
        signature.verify(signed.header["alg"], key.key, signed.signing_input, signed.signature)
        for key in candidates
    )


def reads(token: str) -> bool:
    """Whether we take the text for a signed token at all."""
    try:
        compact.decode(token)
    except Rejected:
        return False
    return True


def wycheproof(file: Path) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    for group in read(file)["testGroups"]:
        for case in group["tests"]:
            yield group, case


def signatures(file: Path) -> Iterator[Case]:
    overrides = read(file.parent / "overrides.json")["tests"]
    for group, case in wycheproof(file):
        number = str(case["tcId"])
        published = case["result"] == "valid"
        expected = overrides.get(number, {}).get("use", case["result"]) == "valid"
        jwks = {"keys": [group.get("public") or group["private"]]}
        yield Case(number, verifies(jwks, case["jws"]), published, expected)


def key_sets(file: Path) -> Iterator[Case]:
    for group, case in wycheproof(file):
        valid = case["result"] == "valid"
        jwks = group.get("public") or group["private"]
        yield Case(str(case["tcId"]), verifies(jwks, case["jws"]), valid, valid)


def mixed_signatures(file: Path) -> Iterator[Case]:
    for group, case in wycheproof(file):
        if "jws" in case:
            key = group.get("public") or group["private"]
            jwks = key if "keys" in key else {"keys": [key]}
            valid = case["result"] == "valid"
            token = case["jws"] if isinstance(case["jws"], str) else json.dumps(case["jws"])
            yield Case(str(case["tcId"]), verifies(jwks, token), valid, valid)


def encrypted(file: Path) -> Iterator[Case]:
    for _, case in wycheproof(file):
        if "jwe" in case:
            token = case["jwe"] if isinstance(case["jwe"], str) else json.dumps(case["jwe"])
            yield Case(str(case["tcId"]), reads(token), case["result"] == "valid", False)


# The primitives below JOSE

# K12: one case is wrong in its file for having PS256's very salt length.
_SALT_OF_PS256 = ("rsa_pss_2048_sha256_mgf1_0_test.json", 69)
_NOT_PS256 = ("rsa_pss_2048_sha256_mgf1_0_test.json", "rsa_pss_2048_sha256_mgf1sha1_20_test.json")


def primitive(algorithm: str) -> Callable[[Path], Iterator[Case]]:
    def judge(file: Path) -> Iterator[Case]:
        for group, case in wycheproof(file):
            message = bytes.fromhex(case["msg"])
            if "key" in case:
                key: signature.Key = bytes.fromhex(case["key"])
                good = bytes.fromhex(case["tag"])
                least = signature.ALGORITHMS[algorithm].minimum * 8
                ours = group["keySize"] >= least and group["tagSize"] == least
            else:
                key = from_pem(group["publicKeyPem"].encode()).keys[0].key
                good = bytes.fromhex(case["sig"])
                ours = file.name not in _NOT_PS256
            accepted = signature.verify(algorithm, key, message, good)
            published = {"valid": True, "invalid": False}.get(case["result"])
            expected = None if published is None else published and ours
            if (file.name, case["tcId"]) == _SALT_OF_PS256:
                expected = True
            yield Case(str(case["tcId"]), accepted, published, expected)

    return judge


_SALT = "only a salt as long as the hash, and MGF1 with that hash, is PS256 (K12)"
_TAG = "a MAC has its full length, and a secret that of the hash (K09)"
_PRIMITIVES: Final = (
    ("ecdsa_secp256k1_sha256_p1363", "ES256K", ""),
    ("ecdsa_secp256r1_sha256_p1363", "ES256", ""),
    ("ecdsa_secp384r1_sha384_p1363", "ES384", ""),
    ("ecdsa_secp521r1_sha512_p1363", "ES512", ""),
    ("ed25519", "Ed25519", ""),
    ("ed448", "Ed448", ""),
    ("hmac_sha256", "HS256", _TAG),
    ("hmac_sha384", "HS384", _TAG),
    ("hmac_sha512", "HS512", _TAG),
    ("rsa_pss_2048_sha256_mgf1_32", "PS256", ""),
    ("rsa_pss_2048_sha384_mgf1_48", "PS384", ""),
    ("rsa_pss_3072_sha256_mgf1_32", "PS256", ""),
    ("rsa_pss_4096_sha512_mgf1_64", "PS512", ""),
    ("rsa_pss_2048_sha256_mgf1_0", "PS256", _SALT),
    ("rsa_pss_2048_sha256_mgf1sha1_20", "PS256", _SALT),
    ("rsa_signature_2048_sha256", "RS256", ""),
    ("rsa_signature_2048_sha384", "RS384", ""),
    ("rsa_signature_2048_sha512", "RS512", ""),
    ("rsa_signature_3072_sha256", "RS256", ""),
    ("rsa_signature_4096_sha256", "RS256", ""),
)


# The figures of the RFCs

_IN_THE_TOKEN = ("4_1", "4_2", "4_3", "4_4", "nesting", "curve25519")  # what is signed stands in it


def cookbook_signatures(folder: Path) -> Iterator[Case]:
    for file in sorted(folder.glob("*.json")):
        if not any(part in file.name for part in ("jws", "rfc7797", "nesting")):
            continue
        figure = read(file)
        figure = figure.get("sign", figure)
        keys = figure["input"]["key"]
        for form, token in _outputs(figure):
            ours = form == "compact" and any(part in file.name for part in _IN_THE_TOKEN)
            tried = keys if isinstance(keys, list) else [keys]
            accepted = any(verifies({"keys": [key]}, token) for key in tried)
            yield Case(f"{file.stem} {form}", accepted, True, ours)


def cookbook_encryption(folder: Path) -> Iterator[Case]:
    for file in sorted(folder.glob("*.json")):
        if any(part in file.name for part in ("jwe", "ecdh", "nesting")):
            figure = read(file)
            for form, token in _outputs(figure.get("encrypt", figure)):
                yield Case(f"{file.stem} {form}", reads(token), True, False)


def _outputs(figure: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """The token in each of its serializations; JSON as text, which is what a field can hold."""
    for form, output in figure["output"].items():
        yield form, output if isinstance(output, str) else json.dumps(output)


def cookbook_keys(folder: Path) -> Iterator[Case]:
    for file in sorted(folder.glob("jwk__*")):
        members = read(file)
        try:
            from_jwks({"keys": [members]})
        except KeysUnusable:
            accepted = False
        else:
            accepted = True
        yield Case(file.stem, accepted, True, members["kty"] != "oct")


def rfc_signatures(file: Path) -> Iterator[Case]:
    for case in read(file):
        jwks = {"keys": [case["jwk"]] if case.get("jwk") else []}
        accepted = bool(jwks["keys"]) and verifies(jwks, case["jws"])
        expected = case["expect"] == "accept"
        yield Case(case["name"], accepted, expected, expected)


# JSON, and other text

_KEY: Final = b'{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}'
_HEADER: Final = b64(b'{"alg":"RS256"}')

# Wherever JSON comes in from outside: a function that takes the text of an object, and raises.
DOORS: Final[dict[str, Callable[[bytes], object]]] = {
    "header": lambda text: compact.parse(f"{b64(text)}.e30."),
    "payload": lambda text: compact.parse(f"{_HEADER}.{b64(text)}."),
    "key set": lambda text: from_jwks(strict_json.loads(text)),
    "introspection answer": lambda text: introspection.read(200, "application/json", text),
}
# What they raise.
REFUSALS: Final = (Rejected, KeysUnusable, NoAnswer)
# What the object at each door needs.
_NEEDED: Final = {
    "header": b'"alg":"RS256"',
    "payload": b'"sub":"ann"',
    "key set": b'"keys":[' + _KEY + b"]",
    "introspection answer": b'"active":true',
}


def json_texts(door: str) -> Callable[[Path], Iterator[Case]]:
    """Each file as one more member of an object that the door would take."""

    def judge(file: Path) -> Iterator[Case]:
        for name, encoded in read(file).items():
            text = base64.b64decode(encoded)
            try:
                DOORS[door](b"{" + _NEEDED[door] + b',"x":' + text + b"}")
            except REFUSALS:
                accepted = False
            else:
                accepted = True
            published = {"y": True, "n": False}.get(name[0])
            # Names are unique: RFC 7515 §4 lets us choose to refuse.
            expected = False if "duplicated_key" in name else published
            yield Case(name, accepted, published, expected)

    return judge


def strings_as_tokens(file: Path) -> Iterator[Case]:
    for number, text in enumerate(read(file)):
        yield Case(str(number), reads(text), False, False)


def strings_as_claims(file: Path) -> Iterator[Case]:
    for number, text in enumerate(read(file)):
        payload = b64(json.dumps({"sub": text}).encode())
        same = compact.parse(f"{_HEADER}.{payload}.").payload == {"sub": text}
        yield Case(str(number), same, True, True)


VECTORS: Final = (
    Vectors(
        "Wycheproof: JWS",
        "wycheproof/json_web_signature_test.json",
        signatures,
        "labels that contradict the RFCs or each other, listed in `overrides.json`",
    ),
    Vectors("Wycheproof: JWK", "wycheproof/json_web_key_test.json", key_sets),
    Vectors("Wycheproof: JWS beside JWE", "wycheproof/json_web_crypto_test.json", mixed_signatures),
    Vectors(
        "Wycheproof: JWE beside JWS",
        "wycheproof/json_web_crypto_test.json",
        encrypted,
        "no encrypted token is a bearer token of ours (S02)",
    ),
    Vectors(
        "Wycheproof: JWE",
        "wycheproof/json_web_encryption_test.json",
        encrypted,
        "no encrypted token is a bearer token of ours (S02)",
    ),
    *(
        Vectors(
            f"Wycheproof: {name} as {algorithm}",
            f"wycheproof/{name}_test.json",
            primitive(algorithm),
            why,
        )
        for name, algorithm, why in _PRIMITIVES
    ),
    Vectors(
        "RFC 7520, 7797, 8037: JWS",
        "jose-cookbook",
        cookbook_signatures,
        "JSON serializations, detached and unencoded payloads are no bearer tokens (S02, S11)",
    ),
    Vectors(
        "RFC 7520: JWE",
        "jose-cookbook",
        cookbook_encryption,
        "no encrypted token is a bearer token of ours (S02)",
    ),
    Vectors(
        "RFC 7520: JWK",
        "jose-cookbook",
        cookbook_keys,
        "secrets have no place in a key set (K08)",
    ),
    Vectors("RFC 7515, 7519, 8037: JWS", "rfc-examples/jws.json", rfc_signatures),
    *(
        Vectors(
            f"JSONTestSuite as {door}",
            "json_test_suite/parsing.json",
            json_texts(door),
            "equal names in one object are refused (S03)",
        )
        for door in DOORS
    ),
    Vectors("Naughty strings as token", "naughty_strings/blns.json", strings_as_tokens),
    Vectors("Naughty strings as claim", "naughty_strings/blns.json", strings_as_claims),
)
