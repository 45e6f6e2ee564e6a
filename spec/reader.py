#!/usr/bin/env python3
"""Reads a VMRewind archive. Written from the documents beside it alone, as their second implementation.

It needs Python 3.9 or newer, `zstandard` and, for encrypted archives, `cryptography` (requirements.txt), and nothing of the program that
wrote the archive.

    reader.py verify  ARCHIVE_DIR                  check everything that can be checked; exit 7 if there is a problem
    reader.py log     ARCHIVE_DIR                  one JSON line per record, in the order of the archive
    reader.py dump    ARCHIVE_DIR --at TIME        the objects as they were (RFC 3339, seq:N or latest)
    reader.py vectors DIR                          run the vectors of the specification

An encrypted archive is read with `--identity FILE` (an age identity file; may be repeated).

Every function names the section it implements: "F" is format.md, "O" is ordering.md, "B" is bundles.md, "C" is checkpoints.md, "M" is manifests.md, "E" is encryption.md. Whatever
it is given, it takes a bounded amount of memory per segment and per window, does not follow anything that is not a regular file, and
ends with one line per problem.
Does not: write to an archive, read buckets, decide what to restore.
"""
from __future__ import annotations

import argparse
import base64
import binascii
import contextlib
import hashlib
import hmac
import io
import itertools
import json
import os
import re
import stat
import struct
import sys
import tempfile
from array import array
from datetime import datetime, timedelta
from typing import Any, BinaryIO, Callable, Dict, Iterator, List, NamedTuple, NoReturn, Optional, Sequence, Set, Tuple, Union

import zstandard

KIB, MIB = 1 << 10, 1 << 20
MAX_IDENTITY, MAX_SEGMENT, MAX_META = 64 * KIB, 128 * MIB, 64 * KIB  # F 11
MAX_DATA, MAX_FRAME, MAX_MEMBER, MAX_INDEX, MAX_PUBLIC = 64 * MIB, 32 * MIB, 16 * MIB, 16 * MIB, 16 * MIB
MAX_HEAD, MAX_TEXT, MAX_OBJECT, MAX_DEPTH = 8 * KIB, KIB, 8 * MIB, 128
MAX_BUNDLE, MAX_HISTORY, MAX_PARTS, MAX_WINDOW_RECORDS, MAX_MANIFEST = 128 * MIB, 2048 * MIB, 4096, 1 << 26, 16 * MIB  # B 8, M 1
MAX_WITHOUT = 1 << 16  # C 2
LEAVES_AT_ONCE, HELD_AT_ONCE = 1 << 19, 24 * MIB  # of a window: leaves (40 bytes each), and bytes of text that are put into the order of seqs
MAX_WINDOW, MAX_NUMBER, MAX_ERA = 8 * MIB, (1 << 63) - 1, (1 << 32) - 1
FIRST_TIME, LAST_TIME = 946684800000000, 7258118400000000  # F introduction
FOOTER_SIZE, PUBLIC_HEAD = 384, 48
ENCRYPTED, FENCE, COMPLETE, HAS_GAP, HAS_LO, HAS_FROM = 1, 4, 8, 16, 32, 64  # F 4, flags
CHUNK, SEALED, MAX_AGE_HEADER, MAX_RECIPIENTS, MAX_KEYS, MAX_KEY_FILES = 64 * KIB, 64 * KIB + 16, 4 * KIB, 16, 64 * KIB, 4096  # E 2, E 5
CUT = b',"obj":'
CAUSES = {"expired", "denied", "removed", "stalled", "storage-rollback", "unrecordable", "overflow", "clock", "correction", "unseen", "damage"}
STATES = {"live", "late", "relisting", "stalled", "denied", "removed"}
# F 6, per op: whether it has "obj", and whether it has "rv" ("maybe": both may be missing, never both there).
OPS = {"A": (True, False), "M": (True, False), "D": ("maybe", "maybe"), "S": (True, False), "X": (False, False),
       "N": (False, False), "G": (False, False), "H": (False, False), "W": (False, True)}
UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\Z")
DECIMAL = re.compile(r"(?:0|[1-9][0-9]{0,19})\Z")
DIGEST, NONCE = re.compile(r"[0-9a-f]{64}\Z"), re.compile(r"[0-9a-f]{32}\Z")
MANIFEST_MAC = re.compile(rb',"mac":"[0-9a-f]{64}"}\n\Z')
RFC3339 = re.compile(r"(\d{4})-(\d\d)-(\d\d)[Tt ](\d\d):(\d\d):(\d\d)(?:\.(\d{1,9}))?(?:[Zz]|([+-])([01]\d|2[0-3]):([0-5]\d))\Z", re.ASCII)
LEFTOVER = re.compile(r"#[0-9]+\Z")
NIL = "00000000-0000-0000-0000-000000000000"
ZERO32, ZERO64 = bytes(32), bytes(64)


class Problem(Exception):
    """One violation of the specification, with its code (F 13) and the offset in the object, where there is one. `slot` is that of a
    segment, or the name of another object."""

    def __init__(self, code: str, sentence: str, offset: Optional[int] = None, slot: Union[int, str, None] = None):
        super().__init__(sentence)
        self.code, self.sentence, self.offset, self.slot = code, sentence, offset, slot
        self.after: Optional[int] = None  # O 4.2, Damage: the last instant up to which it hides nothing; None if that is not known
        self.left: Optional[Tuple[Footer, ResumeMap]] = None  # F 12, what is left of a damaged segment: its resume map

    def touches(self, time: int) -> bool:
        return self.after is None or self.after < time

    def __str__(self) -> str:
        where = "-" if self.slot is None else str(self.slot)
        offset = "-" if self.offset is None else str(self.offset)
        return f"{self.code} {where} {offset}: {self.sentence}"


class DoWithout(Exception):
    """C 4: the checkpoint that was begun with does not fit what stands behind it."""


class NoAnswer(Exception):
    """The question has no answer, though nothing is wrong with the archive (O 4.1), or the place cannot be read at all."""


# --- JSON, times ------------------------------------------------------------------------------------------------------

def refuse_constant(token: str) -> NoReturn:
    raise ValueError(f"{token} is not JSON")


def unique_members(pairs: List[Tuple[str, Any]]) -> Dict[str, Any]:
    """A JSON object without duplicate members: two readers could take different ones."""
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a member occurs twice")
    return members


def bounded_integer(token: str) -> Any:
    """An integer of any length in linear time: one that fits no field becomes a float, which no field takes."""
    return int(token) if len(token) <= 20 else float(token)


class NumberText(str):
    """A number of an object as it is written: text, but not a string of the object."""


STRICT = json.JSONDecoder(parse_constant=refuse_constant, parse_int=bounded_integer, object_pairs_hook=unique_members)
PLAIN = json.JSONDecoder(parse_constant=refuse_constant, parse_int=bounded_integer)
NUMBERS_AS_TEXT = json.JSONDecoder(parse_constant=refuse_constant, parse_int=NumberText, parse_float=NumberText)
COMPACT = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))
SORTED = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), sort_keys=True)


def parse_object(data: bytes, code: str, what: str, decoder: json.JSONDecoder = STRICT) -> Dict[str, Any]:
    """`data` as one JSON object and nothing else, or Problem `code`."""
    try:
        value = decoder.decode(data.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise Problem(code, f"{what} is not JSON: {one_line(error)}") from None
    if not isinstance(value, dict) or data[:1] != b"{" or data[-1:] != b"}":
        raise Problem(code, f"{what} is not a JSON object")
    return value


def is_integer(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def is_unsigned(value: Any) -> bool:
    return is_integer(value) and 0 <= value < 1 << 64


def is_signed(value: Any) -> bool:
    return is_integer(value) and -(1 << 63) <= value < 1 << 63


def is_decimal(value: Any) -> bool:
    """A resource version (F 6): decimal, no sign, no leading zeros, below 2^64."""
    return type(value) is str and DECIMAL.match(value) is not None and int(value) < 1 << 64


def is_time(value: Any) -> bool:
    return is_integer(value) and FIRST_TIME <= value <= LAST_TIME


def one_line(error: object) -> str:
    """Text of an error, in one line of printable ASCII, not too long."""
    text = str(error) or type(error).__name__
    return text[:200].encode("ascii", "backslashreplace").decode().replace("\n", " ").replace("\r", " ")


def utf8_size(text: str) -> int:
    return len(text.encode("utf-8"))


def format_time(micros: int) -> str:
    """RFC 3339, UTC, always six decimals."""
    return (datetime(1970, 1, 1) + timedelta(microseconds=micros)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def parse_time(text: str) -> int:
    """Microseconds of an RFC 3339 time; what is finer than a microsecond is cut off. ValueError if it is none."""
    match = RFC3339.match(text)
    if match is None:
        raise ValueError(f"{ascii(text)} is not an RFC 3339 time")
    year, month, day, hour, minute, second = (int(part) for part in match.groups()[:6])
    offset = (int(match[9]) * 60 + int(match[10])) * (-1 if match[8] == "-" else 1) if match[8] else 0
    since = datetime(year, month, day, hour, minute, second) - datetime(1970, 1, 1) - timedelta(minutes=offset)
    return since // timedelta(microseconds=1) + int(((match[7] or "") + "000000")[:6])


TEXT = rb'[^"\\\x00-\x1f]'
PIECES = re.compile(rb'(?:%s*\\(?:["\\bfnrt]|u00(?:0[0-7bef]|1[0-9a-f]))){1,500}|%s+' % (TEXT, TEXT))  # bounded: so is what a match takes
TOKEN = re.compile(rb'(")|([{}\[\],:])|-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?|true|false|null')


def string_end(data: bytes, start: int) -> int:
    """Where the canonical string that begins at `start` ends. ValueError."""
    position = start + 1
    while True:
        match = PIECES.match(data, position)
        if match is None:
            break
        position = match.end()
    if data[position:position + 1] != b'"':
        raise ValueError(f"not a canonical string at byte {start}")
    return position + 1


def is_plainly_canonical(data: bytes) -> bool:
    """F 10, fast: whether Python writes the same bytes again, sorted, and they are not nested too deep. If not, nothing is known: numbers
    such as 1e3 are written otherwise. The order of code points is that of UTF-8 bytes."""
    try:
        text = data.decode("utf-8")
        value = PLAIN.decode(text)
        if not isinstance(value, dict) or SORTED.encode(value) != text:
            return False
    except (ValueError, RecursionError):
        return False
    level, depth = [value], 0  # type: List[Any], int
    while level:
        depth += 1
        level = [item for part in level for item in (part.values() if isinstance(part, dict) else part) if isinstance(item, (dict, list))]
    return depth <= MAX_DEPTH


def check_canonical(data: bytes, in_order: bool) -> None:
    """F 10: ValueError unless `data` is one JSON object without whitespace, with the shortest escapes, without duplicate members, at
    most 128 deep and, with `in_order`, with sorted members (heads of lines are not sorted). Takes memory for the depth only."""
    data.decode("utf-8")
    stack: List[Any] = []  # per open level: None for an array, else the names so far (in order: the last one)
    expect, position = "value", 0
    while expect != "end":
        match = TOKEN.match(data, position)
        if match is None:
            raise ValueError(f"not canonical JSON at byte {position}")
        token, name, mark = match[0], match[1], match[2]
        if name is not None:
            token = name = data[position:string_end(data, position)]
        if not stack and position == 0 and token != b"{":
            raise ValueError("not a JSON object")
        if expect in ("name", "first name") and name is not None:
            plain = json.loads(name).encode() if b"\\" in name else name[1:-1]
            known = stack[-1]
            if plain in known or (in_order and known and plain < max(known)):
                raise ValueError(f"duplicate members or out of order at byte {position}")
            if in_order:
                known.clear()
            known.add(plain)
            expect = "colon"
        elif expect == "colon" and mark == b":":
            expect = "value"
        elif expect in ("value", "first value") and mark in (b"{", b"["):
            stack.append(set() if mark == b"{" else None)
            if in_order and len(stack) > MAX_DEPTH:
                raise ValueError(f"nested deeper than {MAX_DEPTH}")
            expect = "first name" if mark == b"{" else "first value"
        elif expect in ("value", "first value") and mark is None:
            expect = "after"
        elif expect == "after" and mark == b",":
            expect = "value" if stack[-1] is None else "name"
        elif ((mark == b"}" and stack[-1] is not None and expect in ("first name", "after"))
              or (mark == b"]" and stack[-1] is None and expect in ("first value", "after"))):
            stack.pop()
            expect = "after" if stack else "end"
        else:
            raise ValueError(f"unexpected token at byte {position}")
        position += len(token)
    if position != len(data):
        raise ValueError(f"bytes after the object, at byte {position}")


# --- archive.json -----------------------------------------------------------------------------------------------------

def read_identity(data: bytes) -> Dict[str, Any]:
    """F 2. The members of archive.json."""
    if len(data) > MAX_IDENTITY:
        raise Problem("E_TOO_LARGE", "archive.json is larger than 64 KiB")
    if data[-1:] != b"\n":
        raise Problem("E_IDENTITY", "archive.json does not end in a line feed")
    identity = parse_object(data[:-1], "E_IDENTITY", "archive.json")
    version: Any = identity.get("format")
    if not isinstance(version, dict) or not is_integer(version.get("major")) or not is_integer(version.get("minor")):
        raise Problem("E_IDENTITY", "archive.json has no format version")
    if (version["major"], version["minor"]) != (0, 1):
        raise Problem("E_VERSION", f"format {version['major']}.{version['minor']} is not known, only 0.1")
    features: Any = identity.get("features")
    for kind in ("read", "write", "maintain"):
        names = features.get(kind) if isinstance(features, dict) else None
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise Problem("E_IDENTITY", f"archive.json has no list features.{kind}")
    for member in ("archive", "cluster", "created", "hash", "encryption", "software"):
        if not isinstance(identity.get(member), str):
            raise Problem("E_IDENTITY", f"archive.json has no text {member}")
    if UUID.match(identity["archive"]) is None or identity["archive"] == NIL:
        raise Problem("E_IDENTITY", "archive is not a UUID in lower case, or nil")
    if not identity["cluster"]:
        raise Problem("E_IDENTITY", "cluster is empty")
    try:
        created = parse_time(identity["created"])
    except (ValueError, OverflowError) as error:
        raise Problem("E_IDENTITY", f"created: {one_line(error)}") from None
    if identity["created"][-1] != "Z" or not is_time(created):
        raise Problem("E_IDENTITY", "created is not in UTC, written with Z, or outside of the years")
    if features["read"]:
        raise Problem("E_FEATURE", f"feature {ascii(features['read'][0][:64])} is not known")
    for member, known in (("hash", ("sha256",)), ("encryption", ("none", "age"))):
        if identity[member] not in known:
            raise Problem("E_FEATURE", f"{member} {ascii(identity[member][:64])} is not known")
    return identity


# --- age files --------------------------------------------------------------------------------------------------------

BECH32 = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"


def bech32_checksum(prefix: str, values: List[int]) -> int:
    """BIP 173: 1 for a text that is right."""
    check = 1
    for value in [ord(c) >> 5 for c in prefix] + [0] + [ord(c) & 31 for c in prefix] + values:
        top, check = check >> 25, (check & 0x1FFFFFF) << 5 ^ value
        for bit, generator in enumerate((0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)):
            check ^= generator if top >> bit & 1 else 0
    return check


def read_bech32(text: str, prefix: str) -> Optional[bytes]:
    """The 32 bytes of a key; None if it is none. `prefix` has the case that the text must have."""
    lower = text.lower()
    if text != (lower if prefix.islower() else text.upper()) or not lower.startswith(prefix.lower() + "1"):
        return None
    values = [BECH32.find(c) for c in lower[len(prefix) + 1:]]
    if len(values) != 58 or -1 in values or bech32_checksum(prefix.lower(), values) != 1:
        return None
    number = 0
    for value in values[:52]:
        number = number << 5 | value
    return (number >> 4).to_bytes(32, "big") if number & 15 == 0 else None


class Keys(NamedTuple):
    """What a reader of an encrypted archive has: the secret halves of identities, and the root key."""
    identities: List[bytes]
    root: bytes

    def keyed(self, purpose: int, *parts: bytes) -> bytes:
        """E 4."""
        return hmac.new(self.root, bytes([purpose]) + b"".join(parts), hashlib.sha256).digest()

    def fingerprint(self, archive: str) -> str:
        """E 5: what tells this archive from one that somebody else made for the same recipients."""
        return self.keyed(5, bytes.fromhex(archive.replace("-", "")))[:16].hex()


class Home(str):
    """The UUID of an archive, and how its bodies are read. A plain str is that of an archive that is not encrypted."""
    sealed = False
    keys: Optional[Keys] = None


def keys_of(home: Optional[str]) -> Optional[Keys]:
    """None if bodies are not encrypted."""
    if not isinstance(home, Home) or not home.sealed:
        return None
    if home.keys is None:
        raise Problem("E_NO_KEY", "it is encrypted, and there is no identity that opens it")
    return home.keys


def derive(secret: bytes, salt: bytes, info: bytes) -> bytes:
    """HKDF-SHA-256 (RFC 5869), 32 bytes."""
    return hmac.new(hmac.new(salt or ZERO32, secret, hashlib.sha256).digest(), info + b"\1", hashlib.sha256).digest()


def unseal(key: bytes, nonce: bytes, sealed: bytes) -> Optional[bytes]:
    """ChaCha20-Poly1305; None if the tag is wrong."""
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
    try:
        return ChaCha20Poly1305(key).decrypt(nonce, sealed, None)
    except InvalidTag:
        return None


def agree(secret: bytes, share: bytes) -> Tuple[bytes, Optional[bytes]]:
    """X25519: the public half of `secret`, and what it shares with `share`; None if that is nothing."""
    from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
    private = X25519PrivateKey.from_private_bytes(secret)
    try:
        return private.public_key().public_bytes_raw(), private.exchange(X25519PublicKey.from_public_bytes(share))
    except ValueError:
        return b"", None


def read_age_base64(text: bytes, size: int) -> bytes:
    """Base64 without padding, in the one way to write so many bytes."""
    try:
        data = base64.b64decode(text + b"=" * (-len(text) % 4), validate=True)
    except (binascii.Error, ValueError):
        data = b""
    if len(data) != size or base64.b64encode(data).rstrip(b"=") != text:
        raise Problem("E_AGE", "the age header holds something that is no base64")
    return data


def open_header(header: bytes, identities: Sequence[bytes]) -> bytes:
    """E 2: the file key. `header` is all of it, and nothing else."""
    def demand(good: bool, sentence: str) -> None:
        if not good:
            raise Problem("E_AGE", sentence)

    demand(len(header) <= MAX_AGE_HEADER and header[-1:] == b"\n", "the age header is cut, or longer than 4 KiB")
    lines = header[:-1].split(b"\n")
    demand(lines[0] == b"age-encryption.org/v1", "it is no age file of version 1")
    rows, stanzas, count, at = lines[1:-1], [], 0, 0
    while at < len(rows):
        demand(rows[at][:3] == b"-> ", "the age header holds something that is no stanza")
        words, body = rows[at][3:].split(b" "), b""
        demand(all(word and all(33 <= byte <= 126 for byte in word) for word in words), "the words of a stanza are not as they should be")
        while True:
            at += 1
            demand(at < len(rows) and len(rows[at]) <= 64, "the body of a stanza is cut, or a line of it is too long")
            body += rows[at]
            if len(rows[at]) < 64:
                break
        at, count = at + 1, count + 1
        demand(count <= MAX_RECIPIENTS, "the age header has too many recipients")
        wrapped = read_age_base64(body, len(body) * 3 // 4)
        if words[0] == b"X25519":
            demand(len(words) == 2 and len(wrapped) == 32, "a stanza has other words or another length than its kind has")
            stanzas.append((read_age_base64(words[1], 32), wrapped))
            demand(agree(b"\1" * 32, stanzas[-1][0])[1] is not None, "the share of a stanza hides nothing")
        demand(words[0] != b"scrypt", "a passphrase opens it, which this version does not know")
    demand(count > 0, "the age header has no recipient")
    demand(lines[-1][:4] == b"--- ", "the age header does not end where it should")
    mac = read_age_base64(lines[-1][4:], 32)
    for share, body in stanzas:
        for identity in identities:
            own, shared = agree(identity, share)
            opened = None if shared is None else unseal(derive(shared, share + own, b"age-encryption.org/v1/X25519"), bytes(12), body)
            if opened is not None:
                covered = header[:len(header) - len(lines[-1]) + 2]
                demand(hmac.compare_digest(hmac.new(derive(opened, b"", b"header"), covered, hashlib.sha256).digest(), mac), "the age header was changed")
                return opened
    raise Problem("E_NO_KEY", "none of the identities opens it")


def sealed_size(content: int) -> int:
    return content + 16 * max(1, -(-content // CHUNK))


class Payload:
    """E 2: the content of an age file, of which any range can be read. `load` gives bytes of the file."""

    def __init__(self, load: Callable[[int, int], bytes], header: int, content: int, identities: Sequence[bytes]):
        front = load(0, header + 16)
        self.load, self.start, self.content = load, header + 16, content
        self.key = derive(open_header(front[:header], identities), front[header:], b"payload")
        self.last: Tuple[int, bytes] = (-1, b"")

    def chunk(self, number: int) -> Optional[bytes]:
        """One chunk; None if it does not open."""
        if self.last[0] != number:
            at = number * CHUNK
            data = self.load(self.start + number * SEALED, min(CHUNK, self.content - at) + 16)
            opened = unseal(self.key, number.to_bytes(11, "big") + bytes([at + CHUNK >= self.content]), data)
            if opened is None:
                return None
            self.last = number, opened
        return self.last[1]

    def read(self, offset: int, length: int, forgiving: bool = False) -> bytes:
        """A range of the content. Forgiving: with zeros for chunks that do not open."""
        parts, first = [], offset // CHUNK
        for number in range(first, max(first + 1, -(-(offset + length) // CHUNK))):
            chunk = self.chunk(number)
            if chunk is None and not forgiving:
                raise Problem("E_AGE", f"chunk {number} was changed, or does not belong there", self.start + number * SEALED)
            parts.append(bytes(min(CHUNK, self.content - number * CHUNK)) if chunk is None else chunk)
        whole = b"".join(parts)
        return whole[offset - first * CHUNK:offset - first * CHUNK + length]


def open_file_of_age(data: bytes, identities: Sequence[bytes]) -> bytes:
    """E 2, of a whole age file of which nothing else is known."""
    mark = data[:MAX_AGE_HEADER].find(b"\n--- ")
    header = data[:MAX_AGE_HEADER].find(b"\n", mark + 1) + 1 if mark >= 0 else 0
    stored = len(data) - header - 16
    content = stored - 16 * -(-stored // SEALED)
    if header == 0 or content < 0 or sealed_size(content) != stored:
        raise Problem("E_AGE", "it is no age file, or it was cut")
    return Payload(lambda at, length: data[at:at + length], header, content, identities).read(0, content)


def read_identities(text: str) -> List[bytes]:
    """The secret halves in an identity file."""
    rows = [row.rstrip() for row in text.splitlines()]
    keys = [read_bech32(row, "AGE-SECRET-KEY-") for row in rows if row and not row.startswith("#")]
    if not keys or any(key is None for key in keys):
        raise NoAnswer("an identity file holds something else than AGE-SECRET-KEY-1... and comments, or nothing")
    return [key for key in keys if key is not None]


class KeyFile(NamedTuple):
    """E 5."""
    covered: bytes
    mac: bytes
    root_key: bytes
    valid_from: int


def read_key_file(data: bytes, archive: str, n: int, previous: bytes, since: int) -> KeyFile:
    """E 5, one file, without the check that needs the root key."""
    def demand(good: bool, sentence: str, code: str = "E_KEYS") -> None:
        if not good:
            raise Problem(code, sentence)

    demand(len(data) <= MAX_KEYS, "it is larger than 64 KiB", "E_TOO_LARGE")
    demand(data[-1:] == b"\n", "it does not end in a line feed")
    members = parse_object(data[:-1], "E_KEYS", "it")
    version: Any = members.get("format")
    demand(isinstance(version, dict) and is_integer(version.get("major")) and is_integer(version.get("minor")), "it has no format version")
    demand((version["major"], version["minor"]) == (0, 3), "its format is not 0.3", "E_VERSION")
    texts = ("archive", "prev", "validFrom", "software", "rootKey", "mac")
    demand(all(isinstance(members.get(member), str) for member in texts) and is_number(members.get("n"), 0, (1 << 64) - 1), "a member is missing or mistyped")
    covered = data[:-75]
    demand(data[-75:-67] == b',"mac":"' and data[-3:] == b'"}\n', "it does not end in its mac")
    demand(is_digest(members["mac"]) and is_digest(members["prev"]), "mac or prev is no digest")
    demand(UUID.match(members["archive"]) is not None, "archive is no UUID")
    names: Any = members.get("recipients")
    demand(isinstance(names, list) and all(isinstance(name, str) for name in names), "recipients are missing")
    recipients = [read_bech32(name, "age") for name in names]
    demand(0 < len(recipients) <= MAX_RECIPIENTS and None not in recipients, "there are no recipients, too many, or one is none")
    known = [recipient or b"" for recipient in recipients]
    demand(known == sorted(set(known)), "recipients are not in order, or one is there twice")
    demand(all(agree(b"\1" * 32, recipient)[1] is not None for recipient in known), "a recipient hides nothing")
    try:
        valid_from = parse_time(members["validFrom"])
    except (ValueError, OverflowError):
        valid_from = -1
    demand(members["validFrom"][-1:] == "Z" and is_time(valid_from), "validFrom is no time in UTC")
    try:
        root_key = base64.b64decode(members["rootKey"], validate=True)
    except (binascii.Error, ValueError):
        root_key = b""
    demand(root_key != b"" and base64.b64encode(root_key).decode() == members["rootKey"], "rootKey is no base64")
    demand(members["archive"] == archive, "it belongs to another archive", "E_ARCHIVE")
    demand(members["n"] == n, "it has another number than its name", "E_NAME")
    demand(members["prev"] == previous.hex(), "it does not follow what stands before it", "E_CHAIN")
    demand(valid_from >= since, "it is older than the one before it", "E_TIME")
    return KeyFile(covered, bytes.fromhex(members["mac"]), root_key, valid_from)


def open_key_files(files: List[KeyFile], identities: List[bytes]) -> Keys:
    """E 5: the root key, and that whoever wrote each file knew it."""
    for file in reversed(files):
        try:
            root = open_file_of_age(file.root_key, identities)
        except Problem as problem:
            if problem.code != "E_NO_KEY":
                raise
            continue
        if len(root) != 32:
            raise Problem("E_KEYS", "the root key has not 32 bytes")
        keys = Keys(identities, root)
        if any(keys.keyed(3, other.covered) != other.mac for other in files):
            raise Problem("E_KEYS", "a file of keys was not written by anybody who knows the root key")
        return keys
    raise Problem("E_NO_KEY", "none of the identities opens the archive")


# --- the footer -------------------------------------------------------------------------------------------------------

FOOTER = struct.Struct("<II8sHHHHIIQ16sQQQQQQQqqQIIQII32s32s32s32s16s16s64s")


class Footer(NamedTuple):
    """F 4, the fields in their order."""
    skippable: int
    length: int
    magic: bytes
    major: int
    minor: int
    kind: int
    level: int
    shard: int
    flags: int
    features: int
    archive: bytes
    epoch: int
    first_slot: int
    last_slot: int
    first_seq: int
    last_seq: int
    records: int
    members: int
    first_time: int
    last_time: int
    index_offset: int
    index_length: int
    index_content: int
    body_length: int
    encryption_length: int
    signer: int
    body_hash: bytes
    previous: bytes
    root: bytes
    index_hash: bytes
    nonce: bytes
    check: bytes
    signature: bytes


def uuid_text(raw: bytes) -> str:
    text = raw.hex()
    return "-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:]))


Demand = Callable[[bool, str, int, str], None]


def check_footer(data: bytes, size: int, minor: int) -> Tuple[Footer, Demand]:
    """F 12, steps 1 to 3, of an object of version 0.`minor`; and a function that raises a Problem at an offset in the footer."""
    if size < FOOTER_SIZE:
        raise Problem("E_TRUNCATED", f"{size} bytes, shorter than a footer")
    if size > MAX_SEGMENT:
        raise Problem("E_TOO_LARGE", f"{size} bytes, larger than 128 MiB")
    raw, base = data[-FOOTER_SIZE:], size - FOOTER_SIZE
    f = Footer(*FOOTER.unpack(raw))

    def demand(good: bool, code: str, at: int, sentence: str) -> None:
        if not good:
            raise Problem(code, sentence, base + at)

    demand((f.skippable, f.length, f.magic) == (0x184D2A5D, 376, b"KVBFOOT1"), "E_FOOTER_MAGIC", 0, "the object does not end in a footer")
    demand(f.check == hashlib.sha256(raw[:304]).digest()[:16], "E_FOOTER_CHECK", 304, "the footer does not match its check")
    demand((f.major, f.minor) == (0, minor), "E_VERSION", 16, f"format {f.major}.{f.minor} is not that of such an object, 0.{minor}")
    demand(f.features == 0, "E_FEATURE", 32, "unknown read-feature bits")
    demand(f.flags & 2 == 0, "E_FEATURE", 28, "the object is signed")
    demand(bool(f.flags & ENCRYPTED) == (f.encryption_length > 0), "E_FEATURE", 152, "it is encrypted without an age header, or the reverse")
    demand(f.signer == 0, "E_FEATURE", 156, "the object has a signer")
    demand(f.flags & ~0x7F == 0, "E_RESERVED", 28, "reserved flags are set")
    demand(f.signature == ZERO64, "E_RESERVED", 320, "the signature is not zero")
    return f, demand


def check_fields(f: Footer, base: int, demand: Demand) -> None:
    """F 12, step 4: what holds for every kind."""
    field = "E_FOOTER_FIELD"
    demand(f.shard == 0, field, 24, "shard is not 0")
    demand(0 < f.epoch <= MAX_NUMBER, field, 56, "epoch is out of range")
    demand(0 < f.first_seq <= MAX_NUMBER and f.last_seq <= MAX_NUMBER, field, 80, "seqs are out of range")
    demand(is_time(f.first_time) and is_time(f.last_time), field, 112, "times are out of range")
    demand(f.first_time <= f.last_time, field, 112, "first time is after last time")
    demand(1 <= f.members <= f.records + 1 and (f.members > 1) == (f.records > 0), field, 104, "number of members cannot be")
    demand(0 < f.index_offset < base and f.index_length > 0, field, 128, "the index frame is not in the object")
    stored = content = f.index_offset + f.index_length
    if f.flags & ENCRYPTED:  # E 3
        stored = f.encryption_length + 16 + sealed_size(content)
    demand(f.body_length == stored <= base, field, 144, "the length of the body cannot be")


def check_home(f: Footer, archive: Optional[str], demand: Demand) -> None:
    """F 12, step 5, and E 6."""
    demand(archive is None or uuid_text(f.archive) == archive, "E_ARCHIVE", 40, f"it belongs to archive {uuid_text(f.archive)}")
    sealed = isinstance(archive, Home) and archive.sealed
    demand(sealed or not f.flags & ENCRYPTED, "E_ENCRYPTED", 28, "it is encrypted, but the archive says that nothing in it is")
    demand(not sealed or bool(f.flags & ENCRYPTED), "E_PLAIN", 28, "it is not encrypted, but everything in this archive must be")


def open_body(load: Callable[[int, int], bytes], f: Footer, archive: Optional[str]) -> Optional[Payload]:
    """E 3: what reads the content of a body; None if it is plain."""
    keys = keys_of(archive)
    return None if keys is None else Payload(load, f.encryption_length, f.index_offset + f.index_length, keys.identities)


def shown_root(root: bytes, archive: Optional[str]) -> bytes:
    """E 4: an event root as it is shown."""
    keys = keys_of(archive)
    return root if keys is None else keys.keyed(1, root)


def read_footer(data: bytes, size: int, archive: Optional[str], slot: int) -> Footer:
    """F 12, steps 1 to 5, of a segment. `data` is the end of an object of `size` bytes; without `archive` any archive will do."""
    f, demand = check_footer(data, size, 1)
    field = "E_FOOTER_FIELD"
    demand(f.level == 0, "E_RESERVED", 22, "level is not 0")
    demand(f.kind == 1, field, 20, f"kind {f.kind} is not a log segment")
    demand(f.first_slot == f.last_slot and 0 < f.first_slot <= MAX_NUMBER, field, 64, "first and last slot are not one slot from 1")
    check_fields(f, size - FOOTER_SIZE, demand)
    demand(f.records == f.last_seq - f.first_seq + 1, field, 96, "number of records does not match the seqs")
    demand(f.records > 0 or f.first_time == f.last_time, field, 112, "no records, but two times")
    demand(bool(f.flags & FENCE) == (f.records == 0), field, 28, "a fence has no records, and any other segment has some")
    demand(not f.flags & FENCE or bool(f.flags & COMPLETE), field, 28, "a fence without a complete resume map")
    check_home(f, archive, demand)
    demand(f.first_slot == slot, "E_NAME", 64, f"it is slot {f.first_slot}, not {slot}")
    return f


# --- frames and tar members -------------------------------------------------------------------------------------------

DECOMPRESSOR = zstandard.ZstdDecompressor(max_window_size=MAX_WINDOW)


def decode_frame(frame: memoryview, content_size: int, offset: int) -> bytes:
    """F 3, zstd frames: the content of exactly one frame of exactly that content size. The caller has checked its limit."""
    def refuse(why: str) -> NoReturn:
        raise Problem("E_ZSTD", why, offset)

    if len(frame) < 6 or bytes(frame[:4]) != b"\x28\xb5\x2f\xfd":
        refuse("not a zstd frame")
    descriptor = frame[4]
    size_flag, single = descriptor >> 6, bool(descriptor & 0x20)
    if descriptor & 0x18:
        refuse("the reserved or the unused bit of the frame is set")
    if not descriptor & 0x04:
        refuse("the frame has no content checksum")
    if descriptor & 0x03:
        refuse("the frame has a dictionary id")
    if size_flag == 0 and not single:
        refuse("the frame has no content size")
    at = 5 if single else 6
    width = (1, 2, 4, 8)[size_flag]
    if len(frame) < at + width:
        refuse("the frame is cut")
    declared = int.from_bytes(frame[at:at + width], "little") + (256 if width == 2 else 0)
    base = 1 << (10 + (frame[5] >> 3))
    window = declared if single else base + (base >> 3) * (frame[5] & 7)
    if declared != content_size:
        refuse(f"the frame says {declared} bytes of content, not {content_size}")
    if window > MAX_WINDOW:
        refuse("the window is larger than 8 MiB")
    if declared == 0:
        raise Problem("E_TAR", "the frame holds no member", offset)
    try:
        content = DECOMPRESSOR.decompress(frame, max_output_size=content_size, allow_extra_data=False)
    except (zstandard.ZstdError, ValueError) as error:
        raise Problem("E_ZSTD", f"the frame cannot be decoded: {one_line(error)}", offset) from None
    if len(content) != content_size:
        refuse("the frame has another content size than it says")
    return content


def tar_header(name: bytes, size: int) -> bytes:
    """F 3, the one header that a name and a size have."""
    head = bytearray(512)
    head[:len(name)] = name
    head[100:124] = b"0000644\0" + b"0000000\0" * 2
    head[124:148] = b"%011o\0" % size + b"00000000000\0"
    head[148:156], head[156:157], head[257:265] = b" " * 8, b"0", b"ustar\x0000"
    head[148:156] = b"%07o\0" % sum(head)
    return bytes(head)


def read_member(content: bytes, at: int, offset: int) -> Tuple[bytes, int, int, int]:
    """F 3, the tar member at `at`: its name, where its content begins and ends, and where the next one begins."""
    header = content[at:at + 512]
    name, digits = header[:100].rstrip(b"\0"), header[124:135]
    if len(header) < 512 or not 1 <= len(name) <= 99 or not all(0x20 <= byte <= 0x7E for byte in name):
        raise Problem("E_TAR", "a tar header is cut or has no proper name", offset)
    if not all(0x30 <= byte <= 0x37 for byte in digits) or header != tar_header(name, int(digits, 8)):
        raise Problem("E_TAR", f"the tar header of {ascii(name.decode())} is not the one of its name and size", offset)
    size, begin = int(digits, 8), at + 512
    if size > MAX_MEMBER:
        raise Problem("E_TAR", f"{name.decode()} is larger than 16 MiB", offset)
    end = begin + size
    following = end + -size % 512
    if following > len(content):
        raise Problem("E_TAR", f"{name.decode()} runs over the end of its frame", offset)
    if content.count(0, end, following) != following - end:
        raise Problem("E_TAR", f"the padding of {name.decode()} is not zero", offset)
    return name, begin, end, following


# --- index, resume map, meta.json ---------------------------------------------------------------------------------------

class Frame(NamedTuple):
    """F 5, what the index says of one data frame."""
    offset: int
    length: int
    content: int
    members: int
    records: int
    first_seq: int
    last_seq: int
    first_time: int
    last_time: int
    sha256: bytes
    first_key: bytes = b""
    last_key: bytes = b""


INDEX_ENTRY = struct.Struct("<QIIIIQQqq32sQQ")


def read_index_bytes(stored: memoryview, footer: Footer, public: bytes, archive: Optional[str]) -> bytes:
    """F 12, step 8, as far as the content of `.index`, of which at least the fields of fixed size are there."""
    at = footer.index_offset

    def demand(good: bool, code: str, sentence: str) -> None:
        if not good:
            raise Problem(code, sentence, at)

    keys, raw_footer = keys_of(archive), FOOTER.pack(*footer)
    found = hashlib.sha256(stored).digest() if keys is None else keys.keyed(2, raw_footer[16:256], raw_footer[288:304], public[16:48], bytes(stored))
    demand(found == footer.index_hash, "E_INDEX_HASH", "the index frame does not match the footer")
    demand(footer.index_content <= MAX_INDEX, "E_LIMIT", "the index is larger than 16 MiB")
    content = decode_frame(stored, footer.index_content, at)
    name, begin, end, following = read_member(content, 0, at)
    demand(name == b".index", "E_TAR", "the index frame holds another member than .index")
    demand(content[following:] == bytes(1024), "E_TAR", "the index frame does not end in two zero blocks")
    raw = content[begin:end]
    demand(len(raw) >= 49 and raw[:8] == b"KVBIDX01", "E_INDEX", "the index is cut or has another magic")
    return raw


def check_totals(frames: List[Frame], members: int, records: int, limit: int, footer: Footer) -> None:
    """F 12, step 8: the frames cover the object, and what comes last: totals and limits."""
    at = footer.index_offset

    def demand(good: bool, code: str, sentence: str) -> None:
        if not good:
            raise Problem(code, sentence, at)

    covered = 0
    for frame in frames:
        demand(frame.offset == covered and frame.length > 0, "E_INDEX", "the frames of the index have holes or overlap")
        covered += frame.length
    demand(covered == at, "E_INDEX", "the frames of the index do not end where the index begins")
    demand(members == footer.members == sum(f.members for f in frames), "E_COUNT", "numbers of members differ")
    demand(records == footer.records == sum(f.records for f in frames), "E_COUNT", "numbers of records differ")
    demand(all(f.content <= MAX_FRAME for f in frames), "E_LIMIT", "a data frame has more than 32 MiB")
    demand(sum(f.content for f in frames) <= limit, "E_LIMIT", f"the data frames have more than {limit // MIB} MiB")


def read_index(body: memoryview, footer: Footer, public: bytes, archive: Optional[str]) -> List[Frame]:
    """F 5 and F 12, step 8. `body` is its content."""
    def demand(good: bool, sentence: str) -> None:
        if not good:
            raise Problem("E_INDEX", sentence, footer.index_offset)

    raw = read_index_bytes(body[footer.index_offset:footer.index_offset + footer.index_length], footer, public, archive)
    members, records, probes, bits, filter_size, count = struct.unpack_from("<QQBQQQ", raw, 8)
    demand(probes == bits == filter_size == 0, "the index of a log segment has a filter")
    demand(0 < count and count * INDEX_ENTRY.size == len(raw) - 49, "the number of frames does not fit the index")
    frames = []
    for entry in INDEX_ENTRY.iter_unpack(raw[49:]):
        demand(entry[10] == entry[11] == 0, "the index of a log segment has keys")
        frames.append(Frame(*entry[:10]))
    check_totals(frames, members, records, MAX_DATA, footer)
    return frames


class ResumeMap(NamedTuple):
    """F 8. Entries by (group, resource, scope)."""
    complete: bool
    entries: Dict[Tuple[str, str, str], Dict[str, Any]]


def read_public_json(frame: memoryview, at: int) -> Dict[str, Any]:
    """F 8 and F 12, step 7: the JSON of the public frame, which begins at `at` and goes up to the footer."""
    def demand(good: bool, sentence: str, code: str = "E_PUBLIC") -> None:
        if not good:
            raise Problem(code, sentence, at)

    demand(len(frame) >= PUBLIC_HEAD and struct.unpack_from("<I", frame)[0] == 0x184D2A5C, "there is no public frame after the body")
    demand(struct.unpack_from("<I", frame, 4)[0] == len(frame) - 8, "the public frame does not end where the footer begins")
    demand(bytes(frame[8:16]) == b"KVBPUB01", "the public frame has another magic")
    demand(len(frame) - PUBLIC_HEAD <= MAX_PUBLIC, "the resume map is larger than 16 MiB", "E_LIMIT")
    text = bytes(frame[PUBLIC_HEAD:])
    demand(hashlib.sha256(text).digest() == frame[16:48], "the resume map does not match its hash")
    return parse_object(text, "E_PUBLIC", "the resume map")


def read_entries(public: Dict[str, Any], at: int, sealed: int) -> ResumeMap:
    """F 8, the members of a resume map; E 1, if it stands in an encrypted object."""
    def demand(good: bool, sentence: str, code: str = "E_PUBLIC") -> None:
        if not good:
            raise Problem(code, sentence, at)

    complete, listed = public.get("complete"), public.get("entries")  # type: Any, Any
    demand(isinstance(complete, bool) and isinstance(listed, list), "the resume map lacks complete or entries")
    entries: Dict[Tuple[str, str, str], Dict[str, Any]] = {}
    before: Optional[Tuple[bytes, ...]] = None
    for entry in listed:
        demand(isinstance(entry, dict), "an entry of the resume map is not an object")
        for member in ("group", "resource", "kind", "apiVersion", "state"):
            demand(isinstance(entry.get(member), str), f"an entry of the resume map has no text {member}")
        for member in ("scope", "detail"):
            demand(isinstance(entry.get(member, ""), str), f"{member} of an entry is not text")
        demand(entry["state"] in STATES, "an entry has an unknown state")
        demand("rv" not in entry or is_decimal(entry["rv"]), "rv of an entry is not a resource version")
        demand("provenAt" not in entry or is_time(entry["provenAt"]), "provenAt of an entry is not a time")
        era = entry.get("era")
        demand(is_integer(era) and 1 <= era <= MAX_ERA, "era of an entry is out of range")
        key = (entry["group"], entry["resource"], entry.get("scope", ""))
        try:
            order = tuple(part.encode("utf-8") for part in key)
            demand(utf8_size(entry.get("detail", "")) <= MAX_TEXT, "detail of an entry is larger than 1 KiB", "E_LIMIT")
        except UnicodeEncodeError:
            raise Problem("E_PUBLIC", "an entry holds a lone surrogate", at) from None
        demand(not sealed or not entry.get("detail"), "an entry in an encrypted object has a detail")
        demand(before is None or before < order, "entries of the resume map are not sorted, or one occurs twice")
        before, entries[key] = order, entry
    return ResumeMap(complete, entries)


def read_public(data: memoryview, footer: Footer) -> ResumeMap:
    """F 8 and F 12, step 7, of a segment."""
    at = footer.body_length
    public = read_entries(read_public_json(data[at:len(data) - FOOTER_SIZE], at), at, footer.flags & 1)
    if footer.first_slot % 64 == 0 and not public.complete:
        raise Problem("E_PUBLIC", "the resume map of a slot that is a multiple of 64 is not complete", at)
    return public


class Proofs:
    """O 4.2, Proof: resume maps, applied in the order of slots. B 5: and what a bundle says in place of all of them."""

    def __init__(self) -> None:
        self.known: Dict[Tuple[str, str, str], Dict[str, Any]] = {}  # with the members of an entry of a bundle

    def take(self, public: ResumeMap, last_seq: int) -> None:
        for key, entry in public.entries.items():
            old = self.known.get(key, {"named": last_seq})
            new = {member: entry[member] for member in ENTRY_MEMBERS if member in entry}
            since = old.get("since", new.get("provenAt"))
            self.known[key] = {**new, **({} if since is None else {"since": since}), "named": old["named"], "current": True}
        if public.complete:
            for key in self.known.keys() - public.entries.keys():
                self.known[key] = {**self.known[key], "current": False}

    def replace(self, entries: Dict[Tuple[str, str, str], Dict[str, Any]]) -> None:
        self.known = {key: {member: entry[member] for member in (*ENTRY_MEMBERS, "since", "named", "current") if member in entry}
                      for key, entry in entries.items()}

    def digest(self) -> bytes:
        """Equal if and only if the same is known (an empty scope is none)."""
        listed = [{**self.known[key], "scope": key[2]} for key in sorted(self.known)]
        return hashlib.sha256(SORTED.encode(listed).encode("utf-8", "surrogatepass")).digest()


ENTRY_MEMBERS = ("group", "resource", "scope", "kind", "apiVersion", "rv", "provenAt", "state", "era", "detail")


def read_meta(text: bytes, expected: Dict[str, Any], offset: int) -> Dict[str, Any]:
    """F 9. The members of `meta.json`, of which these are `expected`."""
    if len(text) > MAX_META:
        raise Problem("E_LIMIT", "meta.json is larger than 64 KiB", offset)
    if text.find(b"\n") != len(text) - 1:
        raise Problem("E_META", "meta.json is not one line", offset)
    meta = parse_object(text[:-1], "E_META", "meta.json")
    for member, value in expected.items():
        if type(meta.get(member)) is not type(value) or meta[member] != value:
            raise Problem("E_META", f"{member} differs from the footer", offset)
    if not isinstance(meta.get("software"), str):
        raise Problem("E_META", "meta.json has no text software", offset)
    return meta


def check_meta(text: bytes, f: Footer, offset: int) -> None:
    """F 9, of a segment."""
    read_meta(text, {
        "format": "0.1", "kind": "log", "archive": uuid_text(f.archive), "shard": 0, "segment": f.first_slot, "epoch": f.epoch,
        "nonce": f.nonce.hex(), "fence": bool(f.flags & FENCE), "firstSeq": f.first_seq, "lastSeq": f.last_seq, "records": f.records,
        "firstTime": f.first_time, "lastTime": f.last_time, "prev": f.previous.hex(), "root": f.root.hex(),
    }, offset)


# --- lines ------------------------------------------------------------------------------------------------------------

Key = Tuple[str, str, str, str]


class Line(NamedTuple):
    """F 6. `head` as parsed, `head_bytes` and `obj` as stored, without the line feed."""
    head: Dict[str, Any]
    head_bytes: bytes
    obj: Optional[bytes]

    @property
    def object_key(self) -> Key:
        """(group, kind, namespace, name): what an object is, in the order in which states are listed."""
        _, namespace, name, group, kind, _ = self.head["k"]
        return group, kind, namespace, name

    @property
    def known(self) -> bool:
        return self.head["op"] in OPS


def split_line(content: bytes, start: int, end: int) -> Line:
    """F 6, "Body": the line content[start:end] (without its line feed) as head and object. E_LIMIT, E_LINE."""
    cut = content.find(CUT, start, min(end, start + MAX_HEAD + len(CUT)))
    if (end if cut < 0 else cut) - start > MAX_HEAD:
        raise Problem("E_LIMIT", "the head of a line is larger than 8 KiB")
    if end <= start or content[end - 1] != 0x7D:
        raise Problem("E_LINE", "a line does not end in }")
    try:
        content[start:end].decode("utf-8")
    except UnicodeDecodeError:
        raise Problem("E_LINE", "a line is not UTF-8") from None
    if cut < 0:
        head_bytes, obj = content[start:end], None
        closed = head_bytes
    else:
        if end - 1 - (cut + len(CUT)) > MAX_OBJECT:
            raise Problem("E_LIMIT", "an object is larger than 8 MiB")
        head_bytes, obj = content[start:cut], content[cut + len(CUT):end - 1]
        closed = head_bytes + b"}"
        if obj[:1] != b"{" or obj[-1:] != b"}":
            raise Problem("E_LINE", "obj is not an object")
    head = parse_object(closed, "E_LINE", "the head of a line", PLAIN)
    try:
        if COMPACT.encode(head).encode("utf-8", "surrogatepass") != closed:  # the usual line is what we would write ourselves
            check_canonical(closed, in_order=False)
    except (ValueError, RecursionError) as error:
        raise Problem("E_LINE", f"the head of a line: {one_line(error)}") from None
    return Line(head, head_bytes, obj)


def check_line(line: Line) -> None:
    """F 6: the members that each op has and must not have. E_LINE, E_OP, E_LIMIT, E_TIME. Not seq and time against others."""
    head, op = line.head, line.head.get("op")

    def demand(good: bool, sentence: str, code: str = "E_LINE") -> None:
        if not good:
            raise Problem(code, sentence)

    seq, t = head.get("seq"), head.get("t")  # type: Any, Any
    demand(is_unsigned(seq) and is_signed(t), "a line has no proper seq or t")
    demand(0 < seq <= MAX_NUMBER, "seq is out of range", "E_SEQ")
    demand(is_time(t), "t is out of range", "E_TIME")
    demand(isinstance(op, str) and len(op) == 1 and "A" <= op <= "Z", "a line has no proper op")
    demand("obj" not in head, "obj is not the last member of a line")
    # What every line may have has its type in every line, also in one that is passed over.
    k, era, lo = head.get("k"), head.get("era"), head.get("lo")  # type: Any, Any, Any
    demand("k" not in head or (isinstance(k, list) and len(k) == 6 and all(isinstance(part, str) for part in k)), "k is not an array of 6 strings")
    if "k" in head:
        demand(bool(k[2]) and bool(k[4]), "a key lacks name or kind")
        demand(not any("\0" in part for part in k), "a key holds U+0000")
        demand(sum(utf8_size(part) for part in k) <= MAX_TEXT, "a key is larger than 1 KiB", "E_LIMIT")
    demand("era" not in head or (is_integer(era) and 1 < era <= MAX_ERA), "era is not a number from 2")
    demand("lo" not in head or is_signed(lo), "lo is not a number")
    demand("lo" not in head or (is_time(lo) and lo < t), "lo is not a time before t", "E_TIME")
    demand("i" not in head or (is_integer(head["i"]) and head["i"] == 1), "i is not 1")
    demand("from" not in head or is_unsigned(head["from"]), "from is not a number")
    demand("from" not in head or 1 <= head["from"] < seq, "from is not an earlier seq", "E_SEQ")
    demand("rv" not in head or is_decimal(head["rv"]), "rv is not a resource version")
    demand("reason" not in head or isinstance(head["reason"], str), "reason is not text")
    demand("skip" not in head or (is_integer(head["skip"]) and head["skip"] == 1), "skip is not 1")
    if "gap" in head:
        check_gap(head["gap"], seq)
    if op not in OPS:
        demand("skip" in head, f"op {ascii(op)} is not known", "E_OP")
        return
    wants_obj, wants_rv = OPS[op]
    has_obj, has_rv = line.obj is not None, "rv" in head
    demand(wants_obj in ("maybe", has_obj), f"op {op} {'must not have' if has_obj else 'needs'} obj")
    demand(wants_rv in ("maybe", has_rv) and not (has_rv and has_obj), f"op {op} {'must not have' if has_rv else 'needs'} rv")
    demand(("k" in head) == (op not in "GH"), f"op {op} {'must not have' if 'k' in head else 'needs'} k")
    demand(op != "N" or k[5] == "", "op N has a uid")
    demand("i" not in head or op == "D", "i, but not with D")
    demand("from" not in head or op in "AMSN", "from, but not with A, M, S or N")
    demand(("reason" in head) == (op in "XW"), f"op {op} {'must not have' if 'reason' in head else 'needs'} reason")
    demand(utf8_size(head.get("reason", "")) <= MAX_TEXT, "reason is larger than 1 KiB", "E_LIMIT")
    demand(("gap" in head) == (op == "G"), f"op {op} {'must not have' if 'gap' in head else 'needs'} gap")


def check_gap(gap: Any, seq: int) -> None:
    """F 6, "Gap"."""
    def demand(good: bool, sentence: str, code: str = "E_LINE") -> None:
        if not good:
            raise Problem(code, sentence)

    demand(isinstance(gap, dict), "gap is not an object")
    demand(isinstance(gap.get("group"), str) and isinstance(gap.get("resource"), str), "a gap names no resource")
    demand(isinstance(gap.get("scope", ""), str) and isinstance(gap.get("detail", ""), str), "scope or detail of a gap is not text")
    demand(utf8_size(gap.get("detail", "")) <= MAX_TEXT, "detail of a gap is larger than 1 KiB", "E_LIMIT")
    if "object" in gap:
        about = gap["object"]
        demand(isinstance(about, dict) and all(isinstance(about.get(member), str) for member in ("namespace", "name", "group", "kind")),
               "object of a gap is not namespace, name, group and kind")
    demand(isinstance(gap.get("cause"), str) and gap["cause"] in CAUSES, "the cause of a gap is not known")
    demand(is_integer(gap.get("from")) and is_integer(gap.get("to", 0)), "a gap has no proper from or to")
    demand(is_time(gap["from"]) and is_time(gap.get("to", gap["from"])), "a time of a gap is out of range")
    demand(gap["from"] <= gap.get("to", gap["from"]), "a gap ends before it begins")
    if "opened" in gap:
        demand("to" in gap and is_integer(gap["opened"]) and 1 <= gap["opened"] < seq, "opened of a gap is not an earlier seq of a gap that closes")


def leaf_hash(line: Line) -> bytes:
    """F 7, the leaf of one record."""
    leaf = hashlib.sha256(b"\0" + line.head_bytes)
    if line.obj is not None:
        leaf.update(b"\0" + hashlib.sha256(line.obj).digest())
    return leaf.digest()


class EventRoot:
    """F 7, RFC 6962 section 2.1: the root of the leaves so far, in memory for their logarithm."""

    def __init__(self) -> None:
        self.count, self.stack = 0, []  # type: int, List[bytes]

    def add(self, leaf: bytes) -> None:
        self.stack.append(leaf)
        self.count += 1
        done = self.count
        while done % 2 == 0:
            right, left = self.stack.pop(), self.stack.pop()
            self.stack.append(hashlib.sha256(b"\1" + left + right).digest())
            done //= 2

    def root(self) -> bytes:
        if not self.stack:
            return hashlib.sha256(b"").digest()
        root = self.stack[-1]
        for left in reversed(self.stack[:-1]):
            root = hashlib.sha256(b"\1" + left + root).digest()
        return root


def check_object(line: Line) -> Optional[str]:
    """F 6, F 10, the deep check: E_OBJECT, E_KEY. The resource version, or None without an object."""
    if line.obj is None or not line.known:
        return None
    seq = line.head["seq"]
    try:
        if not is_plainly_canonical(line.obj):
            check_canonical(line.obj, in_order=True)
    except ValueError as error:
        raise Problem("E_OBJECT", f"seq {seq}: the object: {one_line(error)}") from None
    obj, metadata = object_metadata(line)
    version = metadata.get("resourceVersion")
    if not is_decimal(version):
        raise Problem("E_OBJECT", f"seq {seq}: the object has no proper resource version")
    _, namespace, name, group, kind, uid = line.head["k"]
    api = obj.get("apiVersion")
    found = (metadata.get("namespace", ""), metadata.get("name"), api, obj.get("kind"), metadata.get("uid", ""))
    if not all(type(part) is str for part in found):
        raise Problem("E_OBJECT", f"seq {seq}: apiVersion, kind, name, namespace or uid is missing or no text")
    found = (*found[:2], api.partition("/")[0] if "/" in api else "", *found[3:])
    for member, inside, outside in zip(("namespace", "name", "group", "kind", "uid"), found, (namespace, name, group, kind, uid)):
        if inside != outside:
            raise Problem("E_KEY", f"seq {seq}: {member} of the key differs from that of the object")
    return version


def resource_version(line: Line) -> Optional[str]:
    """F 6: that of the object, or None without one. E_OBJECT."""
    if line.obj is None or not line.known:
        return None
    version = object_metadata(line)[1].get("resourceVersion")
    if not is_decimal(version):
        raise Problem("E_OBJECT", f"seq {line.head['seq']}: the object has no proper resource version")
    return version


def object_metadata(line: Line) -> Tuple[Dict[str, Any], Dict[str, Any]]:
    """The object of a line and its metadata, numbers as text. E_OBJECT."""
    try:
        obj = parse_object(line.obj or b"", "E_OBJECT", "the object", NUMBERS_AS_TEXT)
    except Problem as problem:
        raise Problem("E_OBJECT", f"seq {line.head['seq']}: {problem.sentence}") from None
    metadata = obj.get("metadata")
    return obj, metadata if isinstance(metadata, dict) else {}


# --- a segment --------------------------------------------------------------------------------------------------------

class Part(NamedTuple):
    """One tar member of lines: frame content, where the lines begin and end in it, number and offset of the frame."""
    content: bytes
    begin: int
    end: int
    frame: int
    offset: int


class Segment(NamedTuple):
    """A segment that passed steps 1 to 12 of F 12."""
    footer: Footer
    sha256: bytes
    public: ResumeMap
    parts: List[Part]
    content_hash: str

    def lines(self) -> Iterator[Line]:
        for part in self.parts:
            for start, end in line_bounds(part):
                yield split_line(part.content, start, end)

    def deep_check(self) -> None:
        """F 12, the last paragraph."""
        for part in self.parts:
            for start, end in line_bounds(part):
                try:
                    check_object(split_line(part.content, start, end))
                except Problem as problem:
                    problem.offset = part.offset
                    raise


def line_bounds(part: Part) -> Iterator[Tuple[int, int]]:
    start = part.begin
    while start < part.end:
        end = part.content.find(b"\n", start, part.end)
        if end < 0:
            raise Problem("E_LINE", "the last line of a member has no line feed", part.offset)
        yield start, end
        start = end + 1


def read_parts(data: memoryview, footer: Footer, frames: List[Frame]) -> Tuple[List[Part], List[int], str]:
    """F 3 and F 12, steps 9 and 10: the members of lines, the number of members in each frame, the sha256 of all content."""
    parts: List[Part] = []
    members: List[int] = []
    names: List[bytes] = []
    meta: Optional[Tuple[bytes, int]] = None
    digest = hashlib.sha256()
    for number, frame in enumerate(frames):
        stored = data[frame.offset:frame.offset + frame.length]
        if hashlib.sha256(stored).digest() != frame.sha256:
            raise Problem("E_FRAME_HASH", f"data frame {number} does not match the index", frame.offset)
        content = decode_frame(stored, frame.content, frame.offset)
        digest.update(content)
        position, count = 0, 0
        while position < len(content):
            name, begin, end, position = read_member(content, position, frame.offset)
            count += 1
            if meta is None:
                if name != b"meta.json":
                    raise Problem("E_TAR", "the first member is not meta.json", frame.offset)
                meta = content[begin:end], frame.offset
                continue
            at = len(names)
            if name != b"events-%04d.jsonl" % at and not (name == b"events.jsonl" and at == 0) or names[:1] == [b"events.jsonl"]:
                raise Problem("E_TAR", f"member {ascii(name.decode())} is out of order or not known", frame.offset)
            if begin == end:
                raise Problem("E_TAR", f"{name.decode()} is empty", frame.offset)
            if at >= 10000:
                raise Problem("E_TAR", "more than 10000 members", frame.offset)
            names.append(name)
            parts.append(Part(content, begin, end, number, frame.offset))
        members.append(count)
    if meta is None:
        raise Problem("E_TAR", "there is no meta.json", 0)
    if names == [b"events-0000.jsonl"]:
        raise Problem("E_TAR", "lines that were not cut are not in events.jsonl", parts[0].offset)
    check_meta(meta[0], footer, meta[1])
    return parts, members, digest.hexdigest()


def check_lines(parts: List[Part], members: List[int], frames: List[Frame], footer: Footer, complete: bool, archive: Optional[str]) -> None:
    """F 12, steps 11 and 12."""
    root, flags = EventRoot(), footer.flags & (FENCE | ENCRYPTED) | (COMPLETE if complete else 0)
    seq, before, first = footer.first_seq - 1, None, None  # type: int, Optional[int], Optional[int]
    found = [[count, 0, 0, 0, 0, 0] for count in members]
    for part in parts:
        counts = found[part.frame]
        for start, end in line_bounds(part):
            try:
                line = split_line(part.content, start, end)
                check_line(line)
                if line.head["seq"] != seq + 1:
                    raise Problem("E_SEQ", f"seq {line.head['seq']} where {seq + 1} belongs")
                t = line.head["t"]
                if not is_time(t) or (before is not None and t <= before):
                    raise Problem("E_TIME", "t is out of range or does not increase")
            except Problem as problem:
                raise Problem(problem.code, f"line {seq - footer.first_seq + 2}: {problem.sentence}", part.offset) from None
            seq, before = seq + 1, t
            first = t if first is None else first
            if counts[1] == 0:
                counts[2], counts[4] = seq, t
            counts[1], counts[3], counts[5] = counts[1] + 1, seq, t
            flags |= line_flags(line)
            root.add(leaf_hash(line))
    for frame, counts in zip(frames, found):
        if [frame.members, frame.records, frame.first_seq, frame.last_seq, frame.first_time, frame.last_time] != counts:
            raise Problem("E_COUNT", "a frame differs from what the index says of its members, records, seqs or times", frame.offset)
    if first is not None and (first, before) != (footer.first_time, footer.last_time):
        raise Problem("E_TIME", "first or last time of the footer is not that of the lines")
    if flags != footer.flags:
        raise Problem("E_FLAGS", f"flags are {footer.flags:#x}, the content says {flags:#x}")
    if shown_root(root.root(), archive) != footer.root:
        raise Problem("E_ROOT", "the event root does not match the lines")


def content_of(view: memoryview, footer: Footer, archive: Optional[str], forgiving: bool = False) -> memoryview:
    """The content of the body of a segment."""
    payload = open_body(lambda at, length: bytes(view[at:at + length]), footer, archive)
    return view if payload is None else memoryview(payload.read(0, payload.content, forgiving))


def read_segment(data: bytes, archive: Optional[str], slot: int) -> Segment:
    """F 12, steps 1 to 12, in their order; Problem at the first failure."""
    footer = read_footer(data, len(data), archive, slot)
    view = memoryview(data)
    if hashlib.sha256(view[:-FOOTER_SIZE]).digest() != footer.body_hash:
        raise Problem("E_BODY_HASH", "the bytes before the footer are not those that were written", 0)
    public = read_public(view, footer)
    body = content_of(view, footer, archive)
    frames = read_index(body, footer, data[footer.body_length:-FOOTER_SIZE], archive)
    parts, members, content_hash = read_parts(body, footer, frames)
    check_lines(parts, members, frames, footer, public.complete, archive)
    return Segment(footer, hashlib.sha256(view).digest(), public, parts, content_hash)


def check_follows(footer: Footer, previous: Optional[Tuple[Footer, bytes]]) -> None:
    """O 3, the rules for neighbours; `previous` is footer and sha256 of the segment before, None in slot 1."""
    last_slot, digest, epoch, nonce, seq, watermark = 0, ZERO32, 0, b"", 0, 0
    if previous is not None:
        before, digest = previous
        last_slot, epoch, nonce, seq, watermark = before.last_slot, before.epoch, before.nonce, before.last_seq, before.last_time
    fence = bool(footer.flags & FENCE)
    anew = fence and previous is not None and footer.previous == ZERO32  # O 3.2: behind a segment that was damaged then
    if footer.first_slot != last_slot + 1:
        raise Problem("E_MISSING", f"slot {last_slot + 1} is not there")
    if footer.previous != digest and not anew:
        raise Problem("E_CHAIN", "it was not written after the segment that stands before it")
    if previous is None and not fence:
        raise Problem("E_EPOCH", "slot 1 is not a fence")
    if fence and (footer.epoch <= epoch if anew else footer.epoch != epoch + 1) or fence and footer.nonce == nonce:
        raise Problem("E_EPOCH", f"a fence of epoch {footer.epoch} after epoch {epoch}, or with its nonce")
    if not fence and (footer.epoch != epoch or footer.nonce != nonce):
        raise Problem("E_EPOCH", f"epoch {footer.epoch} or its nonce is not that of the segment before ({epoch})")
    if footer.first_seq <= seq if anew else footer.first_seq != seq + 1:
        raise Problem("E_SEQ", f"first seq is {footer.first_seq}, the segment before ends at {seq}")
    if footer.last_time < watermark if fence else footer.first_time <= watermark:
        raise Problem("E_TIME", "it begins before the watermark of the segment before")


def readable_footer(data: bytes, archive: Optional[str], slot: int) -> Optional[Footer]:
    """The footer of what may be damaged, if that much is intact."""
    try:
        return read_footer(data, len(data), archive, slot)
    except Problem:
        return None


def salvage(data: bytes, archive: Optional[str], slot: int) -> Optional[str]:
    """F 12, step 6: what the index still proves of a damaged segment."""
    try:
        footer = read_footer(data, len(data), archive, slot)
        view = content_of(memoryview(data), footer, archive, True)
        frames = read_index(view, footer, data[footer.body_length:-FOOTER_SIZE], archive)
    except Problem:
        return None
    good, bad = [], []  # type: List[str], List[str]
    for frame in frames:
        whole = hashlib.sha256(view[frame.offset:frame.offset + frame.length]).digest() == frame.sha256
        if frame.records:
            (good if whole else bad).append(f"{frame.first_seq} to {frame.last_seq}")
    return f"frames intact for seqs {', '.join(good[:20]) or 'none'}; damaged for {', '.join(bad[:20]) or 'none'}"


# --- manifests --------------------------------------------------------------------------------------------------------------

class BundlePart(NamedTuple):
    """M 1, one of the parts of a window; C 3, or of a checkpoint."""
    records: int
    sha256: str
    size: int
    folder: str = "hist"

    @property
    def name(self) -> str:
        return f"{self.folder}/{self.sha256}"


class Point(NamedTuple):
    """C 2, what a checkpoint says besides what a window says."""
    ends_from: int
    t: int
    without: List[Tuple[int, int]]


class Window(NamedTuple):
    """M 1, WINDOW. C 3, CHECKPOINT: then it has a point, level 0, and begins with slot and seq 1."""
    level: int
    first_slot: int
    last_slot: int
    first_seq: int
    last_seq: int
    first_time: int
    last_time: int
    previous: bytes
    head: bytes
    root: bytes
    earliest: Dict[str, int]
    parts: List[BundlePart]
    stale: bool
    point: Optional[Point] = None

    def __str__(self) -> str:
        return f"checkpoint at slot {self.last_slot}" if self.point else f"window of slots {self.first_slot} to {self.last_slot}"


class Manifest(NamedTuple):
    """M 1."""
    n: int
    sha256: bytes
    previous: bytes
    written: int
    windows: List[Window]
    checkpoints: List[Window]


def is_digest(value: Any) -> bool:
    return isinstance(value, str) and DIGEST.match(value) is not None


def is_number(value: Any, least: int = 1, most: int = MAX_NUMBER) -> bool:
    return is_integer(value) and least <= value <= most


def is_earliest(value: Any) -> bool:
    """B 5, the form of `earliest`."""
    return (isinstance(value, dict) and is_time(value.get("lo", FIRST_TIME)) and is_number(value.get("from", 1))
            and is_time(value.get("gap", FIRST_TIME)))


def read_window(value: Any) -> Window:
    """M 1, the form of a WINDOW. E_MANIFEST."""
    def demand(good: bool, sentence: str) -> None:
        if not good:
            raise Problem("E_MANIFEST", sentence)

    demand(isinstance(value, dict), "a window is not an object")
    for member in ("level", "firstSegment", "lastSegment", "firstSeq", "lastSeq"):
        demand(is_number(value.get(member)), f"{member} of a window is not a number in its range")
    for member in ("firstTime", "lastTime"):
        demand(is_time(value.get(member)), f"{member} of a window is not a time")
    for member in ("prev", "head", "root"):
        demand(is_digest(value.get(member)), f"{member} of a window is not a digest")
    demand(is_earliest(value.get("earliest")), "earliest of a window is not lo, from and gap")
    demand(value.get("stale", True) is True, "stale of a window is not true")
    parts = read_part_list(value.get("parts"), "hist")
    return Window(
        value["level"], value["firstSegment"], value["lastSegment"], value["firstSeq"], value["lastSeq"], value["firstTime"], value["lastTime"],
        bytes.fromhex(value["prev"]), bytes.fromhex(value["head"]), bytes.fromhex(value["root"]),
        {member: value["earliest"][member] for member in ("lo", "from", "gap") if member in value["earliest"]}, parts,
        "stale" in value)


def read_part_list(listed: Any, folder: str) -> List[BundlePart]:
    """M 1, the parts of a window. E_MANIFEST."""
    if not isinstance(listed, list) or not 1 <= len(listed) <= MAX_PARTS:
        raise Problem("E_MANIFEST", "a window has not 1 to 4096 parts")
    for part in listed:
        if not (isinstance(part, dict) and is_number(part.get("records")) and is_digest(part.get("sha256")) and is_number(part.get("size"))):
            raise Problem("E_MANIFEST", "a part is not records, sha256 and size")
    return [BundlePart(part["records"], part["sha256"], part["size"], folder) for part in listed]


def read_point(value: Any, first_time: int, last_time: int, last_seq: int, last_slot: int) -> Optional[Point]:
    """C 2, `checkpoint`; None if it is not as it must be."""
    if not isinstance(value, dict) or not is_number(value.get("endsFrom"), 1, last_seq + 1) or not is_time(value.get("t")):
        return None
    listed, before, count = value.get("without", [[1, 1]]), -1, 0  # type: Any, int, int
    if not first_time <= value["t"] <= last_time or not isinstance(listed, list) or not listed:
        return None
    for one in listed if "without" in value else []:
        if not (isinstance(one, list) and len(one) == 2 and all(is_number(slot, 1, last_slot) for slot in one)) or not before + 1 < one[0] <= one[1]:
            return None
        before, count = one[1], count + one[1] - one[0] + 1
    return Point(value["endsFrom"], value["t"], [(one[0], one[1]) for one in listed] if "without" in value else []) if count <= MAX_WITHOUT else None


def read_checkpoint(value: Any) -> Window:
    """C 3, a CHECKPOINT. E_MANIFEST."""
    def demand(good: bool, sentence: str) -> None:
        if not good:
            raise Problem("E_MANIFEST", sentence)

    demand(isinstance(value, dict), "a checkpoint is not an object")
    for member in ("lastSegment", "lastSeq"):
        demand(is_number(value.get(member)), f"{member} of a checkpoint is not a number in its range")
    for member in ("firstTime", "lastTime"):
        demand(is_time(value.get(member)), f"{member} of a checkpoint is not a time")
    for member in ("head", "root"):
        demand(is_digest(value.get(member)), f"{member} of a checkpoint is not a digest")
    demand(is_integer(value.get("endsFrom")) and is_time(value.get("t")), "endsFrom or t of a checkpoint is not a number or a time")
    point = read_point(value, value["firstTime"], value["lastTime"], value["lastSeq"], value["lastSegment"])
    return Window(0, 1, value["lastSegment"], 1, value["lastSeq"], value["firstTime"], value["lastTime"], ZERO32, bytes.fromhex(value["head"]),
                  bytes.fromhex(value["root"]), {}, read_part_list(value.get("parts"), "ckpt"), False, point or Point(0, 0, []))


def check_checkpoint(checkpoint: Window, windows: List[Window]) -> None:
    """C 3, what must hold within a CHECKPOINT, and beside the window that ends with its slot. E_MANIFEST."""
    def demand(good: bool, sentence: str) -> None:
        if not good:
            raise Problem("E_MANIFEST", sentence)

    demand(checkpoint.first_time <= checkpoint.last_time, f"the {checkpoint} ends before it begins")
    demand(all(FOOTER_SIZE <= part.size <= MAX_BUNDLE for part in checkpoint.parts), f"a part of the {checkpoint} has a size that cannot be")
    demand(sum(part.records for part in checkpoint.parts) <= min(checkpoint.last_seq, MAX_WINDOW_RECORDS), f"the parts of the {checkpoint} have too many records")
    demand(checkpoint.point is not None and checkpoint.point.ends_from > 0, f"endsFrom, t or without of the {checkpoint} is not as it must be")
    for window in windows:
        if window.last_slot == checkpoint.last_slot:
            ends = (window.head, window.last_seq, window.last_time) == (checkpoint.head, checkpoint.last_seq, checkpoint.last_time)
            demand(ends, f"the {checkpoint} ends otherwise than the {window}")


def check_window(window: Window) -> None:
    """M 1, what must hold within a WINDOW. E_MANIFEST."""
    def demand(good: bool, sentence: str) -> None:
        if not good:
            raise Problem("E_MANIFEST", sentence)

    demand(window.level <= 4, f"level of the {window} is not 1 to 4")
    demand(window.first_slot <= window.last_slot, "a window ends in a slot before its first")
    demand(window.first_seq <= window.last_seq, f"the {window} holds no record")
    demand(window.first_time <= window.last_time, f"the {window} ends before it begins")
    demand(window.last_seq - window.first_seq < MAX_WINDOW_RECORDS, f"the {window} has more than 2^26 records")
    demand(all(FOOTER_SIZE <= part.size <= MAX_BUNDLE for part in window.parts), f"a part of the {window} has a size that cannot be")
    demand(sum(part.records for part in window.parts) == window.last_seq - window.first_seq + 1, f"the parts of the {window} have not as many records as it has seqs")
    demand(window.first_slot > 1 or (window.previous == ZERO32 and window.first_seq == 1), f"the {window} has something before slot 1")


def read_manifest(data: bytes, archive: Optional[str], n: int) -> Manifest:
    """M 1, the checks of one manifest, in their order; without `archive` any archive will do."""
    def demand(good: bool, sentence: str, code: str = "E_MANIFEST") -> None:
        if not good:
            raise Problem(code, sentence)

    demand(len(data) <= MAX_MANIFEST, "the manifest is larger than 16 MiB", "E_TOO_LARGE")
    demand(data[-1:] == b"\n", "the manifest does not end in a line feed")
    ends_in_mac = MANIFEST_MAC.match(data[-75:]) is not None  # E 3: what is canonical is the manifest without it
    text = data[:-75] + b"}" if ends_in_mac else data[:-1]
    try:
        if not is_plainly_canonical(text):
            check_canonical(text, in_order=True)
    except ValueError as error:
        raise Problem("E_MANIFEST", f"the manifest is not canonical JSON: {one_line(error)}") from None
    value = parse_object(text, "E_MANIFEST", "the manifest")
    demand(isinstance(value.get("format"), str), "the manifest has no text format")
    demand(value["format"] in ("0.2", "0.3"), f"format {ascii(value['format'][:32])} is not known, only 0.2 and 0.3", "E_VERSION")
    sealed = isinstance(archive, Home) and archive.sealed
    demand(value["format"] == "0.3" or not sealed, "it has no mac, but everything in this archive must be vouched for", "E_PLAIN")
    demand(value["format"] == "0.2" or sealed, "it is of an encrypted archive, and this one is not", "E_ENCRYPTED")
    demand(ends_in_mac == sealed, "it does not end in its mac, or has one and should not")
    if sealed:
        keys = keys_of(archive)
        mac = b"" if keys is None else keys.keyed(4, data[:-75])
        demand(hmac.compare_digest(mac.hex().encode(), data[-67:-3]), "it was not written by anybody who knows the root key")
        demand("mac" not in value, "it has its mac twice")
    demand(isinstance(value.get("archive"), str) and UUID.match(value["archive"]) is not None, "archive is not a UUID")
    demand(is_number(value.get("n")), "n is not a number from 1")
    demand(is_digest(value.get("prev")), "prev is not a digest")
    demand(isinstance(value.get("software"), str), "the manifest has no text software")
    demand(is_time(value.get("written")), "written is not a time")
    demand(isinstance(value.get("windows"), list), "windows is not an array")
    windows = [read_window(window) for window in value["windows"]]
    listed: Any = value.get("checkpoints", [{}])
    demand(isinstance(listed, list) and len(listed) > 0, "checkpoints is not an array, or has none")
    checkpoints = [read_checkpoint(one) for one in listed] if "checkpoints" in value else []
    demand(archive is None or value["archive"] == archive, f"it belongs to archive {value['archive']}", "E_ARCHIVE")
    demand(value["n"] == n, f"it is manifest {value['n']}, not {n}", "E_NAME")
    demand(n > 1 or value["prev"] == ZERO32.hex(), "the first manifest has one before it", "E_CHAIN")
    for window in windows:
        check_window(window)
    for before, window in zip(windows, windows[1:]):
        demand(before.last_slot < window.first_slot, f"the {window} is not behind the one before it")
        demand(before.last_seq < window.first_seq, f"seqs of the {window} are not behind those of the window before it")
        demand(before.last_time <= window.first_time, f"times of the {window} are not behind those of the window before it")
        if before.last_slot + 1 == window.first_slot and window.previous != ZERO32:  # zeros: a fence that begins anew
            demand(window.previous == before.head, f"the {window} was not written after the one before it", "E_CHAIN")
            demand(window.first_seq == before.last_seq + 1, f"the {window} begins with seq {window.first_seq}, the one before ends at {before.last_seq}", "E_SEQ")
    for checkpoint in checkpoints:
        check_checkpoint(checkpoint, windows)
    for before, checkpoint in zip(checkpoints, checkpoints[1:]):
        ordered = before.last_slot < checkpoint.last_slot and before.last_seq < checkpoint.last_seq and before.last_time <= checkpoint.last_time
        demand(ordered, f"the {checkpoint} is not behind the one before it")
    return Manifest(n, hashlib.sha256(data).digest(), bytes.fromhex(value["prev"]), value["written"], windows, checkpoints)


def check_manifest_follows(manifest: Manifest, before: Manifest) -> None:
    """M 1, against manifest n - 1."""
    if manifest.previous != before.sha256:
        raise Problem("E_CHAIN", "it was not written after the manifest that stands before it")
    if manifest.written < before.written:
        raise Problem("E_TIME", "it was written before the manifest before it")
    at = 0
    for old in before.windows:
        while at < len(manifest.windows) and manifest.windows[at].last_slot < old.first_slot:
            at += 1
        expected = old.first_slot
        for new in manifest.windows[at:]:
            if new.first_slot > min(expected, old.last_slot):
                break
            within = old.first_slot <= new.first_slot and new.last_slot <= old.last_slot
            around = new.first_slot <= old.first_slot and old.last_slot <= new.last_slot
            begins = new.first_slot != old.first_slot or (new.previous, new.first_seq, new.first_time) == (old.previous, old.first_seq, old.first_time)
            ends = new.last_slot != old.last_slot or (new.head, new.last_seq, new.last_time) == (old.head, old.last_seq, old.last_time)
            joined = new.first_slot <= old.first_slot or new.previous != ZERO32  # a fence that begins anew begins a window
            stays = new.stale or not old.stale or new.parts != old.parts
            if not ((within or around) and begins and ends and joined and stays) or (within and around and new.root != old.root):
                raise Problem("E_MANIFEST", f"the {new} says something else than the {old} of the manifest before")
            expected = new.last_slot + 1
        if expected <= old.last_slot:
            raise Problem("E_MANIFEST", f"slot {expected} lies in the {old} of the manifest before, and in none of this one")
    points = {checkpoint.last_slot: checkpoint for checkpoint in manifest.checkpoints}
    for old in before.checkpoints:
        new_one = points.get(old.last_slot)
        if new_one is None or new_one.point is None or old.point is None:
            continue
        same = (new_one.head, new_one.last_seq, new_one.last_time, new_one.point.t) == (old.head, old.last_seq, old.last_time, old.point.t)
        if not same or (new_one.point == old.point and new_one.root != old.root):
            raise Problem("E_MANIFEST", f"the {new_one} says something else than the manifest before")


# --- history bundles --------------------------------------------------------------------------------------------------------

class Blob:
    """The bytes of an object, of a file or in memory, of which no more is held than was asked for."""

    def __init__(self, file: BinaryIO, size: int):
        self.file, self.size = file, size

    def read(self, offset: int, length: int) -> bytes:
        try:
            self.file.seek(offset)
            data = self.file.read(length)
        except OSError as error:
            raise NoAnswer(f"an object cannot be read: {one_line(error.strerror)}") from None
        if len(data) != length:
            raise NoAnswer("an object became shorter while it was read")
        return data


class Order:
    """B 1: the (sort key, seq) of the line before."""

    def __init__(self) -> None:
        self.key, self.seq = b"", 0

    def take(self, key: bytes, seq: int) -> None:
        if (key, seq) <= (self.key, self.seq):
            same = (key, seq) == (self.key, self.seq)
            raise Problem("E_SEQ" if same else "E_INDEX", "a line is there twice" if same else "lines are not in the order of keys and seqs")
        self.key, self.seq = key, seq


def key_text(head: Dict[str, Any]) -> bytes:
    """B 1, the key text of a line."""
    return "\0".join(head["k"][:5]).encode("utf-8") if "k" in head else b""


def member_name(number: int, home: str) -> bytes:
    """B 2, the name of a member of lines."""
    plain = re.sub(rb"[^0-9A-Za-z.-]", b"_", home.encode("utf-8"))
    return b"%08d-%s.jsonl" % (number, plain[:80])


class Filter:
    """B 4, the entries of a Bloom filter, each as the two numbers that make its probes."""

    def __init__(self) -> None:
        self.entries: Set[bytes] = set()

    def take(self, k: List[str]) -> None:
        home, namespace, name, group, kind, _ = k
        for entry in ("\1" + home, "\2" + "\0".join((namespace, name, group, kind))):
            self.entries.add(hashlib.sha256(entry.encode("utf-8")).digest()[:16])

    def bytes(self) -> bytes:
        bits = bytearray(max(1, -(-10 * len(self.entries) // 8)))
        for entry in self.entries:
            a, b = struct.unpack("<QQ", entry)
            for j in range(7):
                bit = (a + j * b) % (8 * len(bits))
                bits[bit // 8] |= 1 << bit % 8
        return bytes(bits)


def read_bundle_index(raw: bytes, footer: Footer) -> Tuple[List[Frame], bytes]:
    """B 4 and F 12, step 8: the frames, and the filter."""
    at = 24  # behind what is read last

    def demand(good: bool, sentence: str) -> None:
        if not good:
            raise Problem("E_INDEX", sentence, footer.index_offset)

    def take(length: int) -> bytes:
        nonlocal at
        demand(length <= len(raw) - at, "the index is cut")
        at += length
        return raw[at - length:at]

    def number() -> int:
        return int.from_bytes(take(8), "little")

    probes, bits = take(1)[0], number()
    bloom = take(number())
    demand(probes == 7 and bits == 8 * len(bloom) and bits > 0, "the filter has not 7 probes, or not as many bits as its bytes")
    count = number()
    fixed = INDEX_ENTRY.size - 16
    demand(0 < count <= (len(raw) - at) // INDEX_ENTRY.size, "the number of frames does not fit the index")
    frames: List[Frame] = []
    before = b""
    for _ in range(count):
        fields = struct.unpack("<QIIIIQQqq32s", take(fixed))
        frame = Frame(*fields)._replace(first_key=take(number()), last_key=take(number()))
        if frame.records == 0:  # the first frame may hold meta.json alone
            demand(not frames and not any(frame[5:9]) and not frame.first_key + frame.last_key, "a frame has no lines, and is not the first, or has seqs, times or keys")
        else:
            demand(0 < frame.first_seq <= frame.last_seq, "a frame has seqs that cannot be")
        demand(before <= frame.first_key <= frame.last_key, "keys of the frames are not in order")
        before = frame.last_key
        frames.append(frame)
    demand(at == len(raw), "the index has more bytes than its fields")
    members, records = struct.unpack_from("<QQ", raw, 8)
    check_totals(frames, members, records, MAX_HISTORY, footer)
    return frames, bloom


class Bundle(NamedTuple):
    """B 8, what the end of a bundle tells, after steps 1 to 5, 7 and 8."""
    blob: Blob
    window: Window
    part: int
    footer: Footer
    entries: Dict[Tuple[str, str, str], Dict[str, Any]]
    public: bytes
    frames: List[Frame]
    members_before: List[int]  # per frame, meta.json among them
    filter: bytes
    archive: Optional[str]
    payload: Optional[Payload]

    def lines(self, number: int, order: Order, digest: Any = None) -> Iterator[Line]:
        """B 8, step 9 and what follows of one frame: its lines, compared with what the index says of it."""
        f, frame = self.footer, self.frames[number]
        try:
            for line in self._lines(number, order, digest):
                if not f.first_seq <= line.head["seq"] <= f.last_seq:
                    raise Problem("E_SEQ", f"seq {line.head['seq']} is not one of the window")
                if not f.first_time <= line.head["t"] <= f.last_time:
                    raise Problem("E_TIME", f"the time of seq {line.head['seq']} is not within the window")
                yield line
        except Problem as problem:
            problem.offset = frame.offset if problem.offset is None else problem.offset
            raise

    def _lines(self, number: int, order: Order, digest: Any) -> Iterator[Line]:
        frame = self.frames[number]
        stored = (self.payload or self.blob).read(frame.offset, frame.length)
        if hashlib.sha256(stored).digest() != frame.sha256:
            raise Problem("E_FRAME_HASH", f"data frame {number} does not match the index")
        content = decode_frame(memoryview(stored), frame.content, frame.offset)
        del stored
        if digest is not None:
            digest.update(content)
        position = members = records = 0
        first, last = (MAX_NUMBER + 1, 0), (0, 0)  # seq and time
        first_key: Optional[bytes] = None
        key = b""
        before = self.members_before[number]
        while position < len(content):
            name, begin, end, position = read_member(content, position, frame.offset)
            members += 1
            if before + members == 1:
                if name != b"meta.json":
                    raise Problem("E_TAR", "the first member is not meta.json")
                check_bundle_meta(content[begin:end], self, frame.offset)
                continue
            if begin == end or name[:9] != b"%08d-" % (before + members - 1):
                raise Problem("E_TAR", f"member {ascii(name.decode())} is empty or out of order")
            home: Tuple[str, ...] = ()
            for start, stop in line_bounds(Part(content, begin, end, number, frame.offset)):
                line = split_line(content, start, stop)
                check_line(line)
                head, here = line.head, tuple(line.head.get("k", ())[:1])
                if start == begin:
                    home = here
                    if name != member_name(before + members - 1, "".join(home)):
                        raise Problem("E_TAR", f"member {ascii(name.decode())} is not named by the home of its lines")
                if here != home:
                    raise Problem("E_TAR", f"{name.decode()} holds lines of more than one home")
                key = key_text(head)
                order.take(key, head["seq"])
                first_key = key if first_key is None else first_key
                records, first, last = records + 1, min(first, (head["seq"], head["t"])), max(last, (head["seq"], head["t"]))
                yield line
        first = first if records else (0, 0)
        found = (members, records, first[0], last[0], first[1], last[1], first_key or b"", key)
        if found != (frame.members, frame.records, frame.first_seq, frame.last_seq, frame.first_time, frame.last_time, frame.first_key, frame.last_key):
            raise Problem("E_COUNT", "the frame differs from what the index says of its members, records, seqs, times or keys")


def open_bundle(blob: Blob, archive: Optional[str], window: Window, part: int) -> Bundle:
    """B 8, steps 1 to 5, 7 and 8, of part `part` (from 1) of a window that a manifest names."""
    expected = window.parts[part - 1]
    size = blob.size
    if size > MAX_BUNDLE:
        raise Problem("E_TOO_LARGE", f"{size} bytes, larger than 128 MiB")
    f, demand = check_footer(blob.read(size - min(size, FOOTER_SIZE), min(size, FOOTER_SIZE)), size, 2)
    field, all_records = "E_FOOTER_FIELD", f.last_seq - f.first_seq + 1
    kind = 3 if window.point else 2
    demand(f.kind == kind, field, 20, f"kind {f.kind} is not the one that the manifest speaks of, {kind}")
    if kind == 2:
        demand(1 <= f.level <= 4, field, 22, "level is not 1 to 4")
    else:
        demand(f.level == 0, field, 22, "level is not 0")
        demand(f.first_slot == 1 and f.first_seq == 1 and f.previous == ZERO32, field, 64, "it does not stand for everything from the beginning")
    demand(not f.flags & FENCE and bool(f.flags & COMPLETE), field, 28, "it says that it is a fence, or that its resume map is not complete")
    demand(0 < f.first_slot <= f.last_slot <= MAX_NUMBER, field, 64, "slots do not ascend from 1")
    check_fields(f, size - FOOTER_SIZE, demand)
    demand(1 <= f.records <= all_records, field, 96, "number of records does not fit the seqs")
    check_home(f, archive, demand)
    demand(size == expected.size, "E_COUNT", 0, f"it has {size} bytes, the manifest says {expected.size}")
    demand(f.records == expected.records, "E_COUNT", 96, f"it has {f.records} records, the manifest says {expected.records}")
    for at, member in ((22, "level"), (64, "first_slot"), (72, "last_slot"), (80, "first_seq"), (88, "last_seq"), (112, "first_time"),
                       (120, "last_time"), (192, "previous")):
        demand(getattr(f, member) == getattr(window, member), "E_COUNT", at, f"{member.replace('_', ' ')} is not that of the window in the manifest")
    demand(len(window.parts) > 1 or f.root == window.root, "E_COUNT", 224, "event root is not that of the window in the manifest")
    at = f.body_length
    frame = blob.read(at, size - FOOTER_SIZE - at)
    public = read_public_json(memoryview(frame), at)
    resume = read_entries(public, at, f.flags & 1)

    def claim(good: bool, code: str, sentence: str) -> None:
        if not good:
            raise Problem(code, sentence, at)

    claim(resume.complete, "E_PUBLIC", "the resume map is not complete")
    for entry in resume.entries.values():
        claim(is_time(entry.get("since", FIRST_TIME)) and ("since" in entry or "provenAt" not in entry), "E_PUBLIC", "since of an entry is not a time, or missing")
        claim(is_number(entry.get("named"), 0, f.last_seq), "E_PUBLIC", "named of an entry is not a seq up to the end of the window")
        claim(isinstance(entry.get("current"), bool), "E_PUBLIC", "current of an entry is missing")
    claim(is_digest(public.get("head")) and is_earliest(public.get("earliest")), "E_PUBLIC", "head or earliest is not as it must be")
    claim(("checkpoint" in public) == (kind == 3), "E_PUBLIC", "checkpoint is there, or missing")
    if window.point:
        point = read_point(public["checkpoint"], f.first_time, f.last_time, f.last_seq, f.last_slot)
        claim(point is not None and not any(member in public["earliest"] for member in ("lo", "from", "gap")), "E_PUBLIC", "checkpoint or earliest is not as it must be")
        claim(point == window.point, "E_COUNT", "endsFrom, t or without is not that of the checkpoint in the manifest")
    claim(public["head"] == window.head.hex(), "E_COUNT", "head is not that of the window in the manifest")
    claim({member: public["earliest"][member] for member in ("lo", "from", "gap") if member in public["earliest"]} == window.earliest,
          "E_COUNT", "earliest is not that of the window in the manifest")
    payload = open_body(blob.read, f, archive)
    stored = memoryview((payload or blob).read(f.index_offset, f.index_length))
    frames, bloom = read_bundle_index(read_index_bytes(stored, f, frame, archive), f)
    before = list(itertools.accumulate((frame.members for frame in frames), initial=0))
    return Bundle(blob, window, part, f, resume.entries, frame[16:48], frames, before, bloom, archive, payload)


def check_bundle_meta(text: bytes, bundle: Bundle, offset: int) -> None:
    """B 6."""
    f, window = bundle.footer, bundle.window
    meta = read_meta(text, {
        "format": "0.2", "kind": "checkpoint" if window.point else "history", "archive": uuid_text(f.archive), "shard": 0, "level": f.level, "firstSegment": f.first_slot,
        "lastSegment": f.last_slot, "epoch": f.epoch, "nonce": f.nonce.hex(), "firstSeq": f.first_seq, "lastSeq": f.last_seq, "records": f.records,
        "firstTime": f.first_time, "lastTime": f.last_time, "prev": f.previous.hex(), "root": f.root.hex(), "head": window.head.hex(),
        "part": bundle.part}, offset)
    if not isinstance(meta.get("salt"), str) or NONCE.match(meta["salt"]) is None:
        raise Problem("E_META", "salt is not 32 hex digits", offset)


class Whole(NamedTuple):
    """What the lines of a window, read whole, tell."""
    first_time: int
    last_time: int
    contents: List[str]  # per part: sha256 of the contents of its data frames
    entries: bytes  # digest of Proofs


Opener = Callable[[int], "contextlib.AbstractContextManager[Bundle]"]


def read_whole(window: Window, opened: Opener, parts: Optional[Sequence[int]] = None, deep: bool = False, named: bool = True) -> Whole:
    """B 8, "Whole", of all parts of a window, or, given `parts`, of some. Names are compared unless told not to. Takes memory for one frame, LEAVES_AT_ONCE leaves and the
    entries of the filter: if a window has more records, its frames are read several times."""
    complete = parts is None
    low, root, times = window.first_seq, EventRoot(), (0, 0)
    numbers = list(parts if parts is not None else range(1, len(window.parts) + 1))
    roots = {part: (EventRoot(), b"") for part in numbers}  # of the lines of each part, and what its footer says
    contents: List[str] = []
    earliest: Dict[str, int] = {}
    public, order, entries, before = b"", Order(), Proofs(), 0
    offset, home = 0, None  # type: int, Optional[str]

    def put(line: Line) -> None:
        at = line.head["seq"] - low
        if 0 <= at < len(moments):
            if moments[at]:
                raise Problem("E_SEQ", f"seq {line.head['seq']} is there twice", offset)
            moments[at] = line.head["t"]
            own.append(at)
            leaves[32 * at:32 * at + 32] = leaf_hash(line)

    while low <= window.last_seq:
        moments = array("q", bytes(8 * min(LEAVES_AT_ONCE, window.last_seq - low + 1)))
        leaves = bytearray(32 * len(moments))
        for part in numbers:
            own = array("L")  # what of this is in the part
            with opened(part) as bundle:
                if low > window.first_seq:  # all but the leaves is done
                    for number, frame in enumerate(bundle.frames):
                        if frame.first_seq < low + len(moments) and frame.last_seq >= low:
                            offset = frame.offset
                            for line in bundle.lines(number, Order()):
                                put(line)
                    add_leaves(roots[part][0], own, leaves)
                    continue
                check_hashes(bundle, named)
                home = bundle.archive
                if public and bundle.public != public:
                    raise Problem("E_PUBLIC", "its public frame differs from that of the parts before it", bundle.footer.body_length)
                public = bundle.public
                entries.replace(bundle.entries)
                bloom, flags, digest = Filter(), COMPLETE | bundle.footer.flags & ENCRYPTED, hashlib.sha256()
                for number, frame in enumerate(bundle.frames):
                    offset = frame.offset
                    for line in bundle.lines(number, order, digest):
                        if "k" in line.head:
                            bloom.take(line.head["k"])
                        flags |= line_flags(line)
                        note_earliest(earliest, line)
                        if any(value < window.earliest.get(member, value + 1) for member, value in earliest.items()):
                            raise Problem("E_PUBLIC", f"seq {line.head['seq']} reaches back further than earliest says", offset)
                        put(line)
                        if deep:
                            try:
                                check_object(line)
                            except Problem as problem:
                                problem.offset = offset
                                raise
                if bloom.bytes() != bundle.filter:
                    raise Problem("E_INDEX", "the filter is not that of the keys of the lines", bundle.footer.index_offset)
                if flags != bundle.footer.flags:
                    raise Problem("E_FLAGS", f"flags are {bundle.footer.flags:#x}, the content says {flags:#x}")
                contents.append(digest.hexdigest())
                roots[part] = roots[part][0], bundle.footer.root
                add_leaves(roots[part][0], own, leaves)
        for at, t in enumerate(moments):
            if t == 0 and complete:
                raise Problem("E_SEQ", f"seq {low + at} of the {window} is not there")
            if t and t <= before:
                raise Problem("E_TIME", f"the time of seq {low + at} is not after that of the seqs before it")
            before = t or before
            if complete:
                root.add(bytes(leaves[32 * at:32 * at + 32]))
        times = times[0] or (moments[0] if moments else 0), before
        low += len(moments)
    for part, (found, said) in roots.items():
        if shown_root(found.root(), home) != said:
            raise Problem("E_ROOT", "the event root does not match the lines", None, window.parts[part - 1].name)
    if complete and earliest != window.earliest:
        raise Problem("E_PUBLIC", f"earliest of the {window} is not that of its lines")
    if complete and shown_root(root.root(), home) != window.root:
        raise Problem("E_ROOT", f"the event root of the {window} does not match its lines")
    return Whole(times[0], times[1], contents, entries.digest())


class Sieved:
    """C 2, the rules for the lines of a part of a checkpoint."""

    def __init__(self, ends_from: int) -> None:
        self.ends_from, self.key = ends_from, b""
        self.state: Optional[Tuple[int, int]] = None
        self.end: Optional[Tuple[int, int]] = None

    def take(self, line: Line) -> None:
        head = line.head
        if not line.known or head["op"] == "H":
            raise Problem("E_SEQ", f"seq {head['seq']} is of an op that no checkpoint keeps")
        if head["op"] == "G":
            return
        key, place = key_text(head), (head.get("from", head["seq"]), head["seq"])
        if key != self.key:
            self.key, self.state, self.end = key, None, None
        if head["op"] in "DX":
            if place[0] < self.ends_from:
                raise Problem("E_SEQ", f"seq {head['seq']} is an end that counts from before {self.ends_from}")
            self.end = min(place, self.end or place)
        else:
            if self.state is not None:
                raise Problem("E_SEQ", f"seq {head['seq']} is another state of one object")
            self.state = place
        if self.state is not None and self.end is not None and self.end < self.state:
            raise Problem("E_SEQ", f"seq {head['seq']}: an end lies before the state")


def read_whole_checkpoint(checkpoint: Window, opened: Opener, parts: Optional[Sequence[int]] = None, deep: bool = False, named: bool = True) -> Whole:
    """C 2 and B 8, "Whole", of all parts of a checkpoint, or, given `parts`, of some. Takes memory for one frame, and a hash for each line."""
    assert checkpoint.point is not None
    every: List[Tuple[int, int, bytes]] = []  # seq, time and leaf
    contents: List[str] = []
    public, order, entries, home = b"", Order(), Proofs(), None  # type: bytes, Order, Proofs, Optional[str]
    for part in parts if parts is not None else range(1, len(checkpoint.parts) + 1):
        with opened(part) as bundle:
            check_hashes(bundle, named)
            home = bundle.archive
            if public and bundle.public != public:
                raise Problem("E_PUBLIC", "its public frame differs from that of the parts before it", bundle.footer.body_length)
            public = bundle.public
            entries.replace(bundle.entries)
            bloom, flags, digest, own = Filter(), COMPLETE | bundle.footer.flags & ENCRYPTED, hashlib.sha256(), []  # type: Filter, int, Any, List[Tuple[int, int, bytes]]
            sieved = Sieved(checkpoint.point.ends_from)
            for number, frame in enumerate(bundle.frames):
                try:
                    for line in bundle.lines(number, order, digest):
                        sieved.take(line)
                        if "k" in line.head:
                            bloom.take(line.head["k"])
                        flags |= line_flags(line)
                        own.append((line.head["seq"], line.head["t"], leaf_hash(line)))
                        if deep:
                            check_object(line)
                except Problem as problem:
                    problem.offset = frame.offset if problem.offset is None else problem.offset
                    raise
            if bloom.bytes() != bundle.filter:
                raise Problem("E_INDEX", "the filter is not that of the keys of the lines", bundle.footer.index_offset)
            if flags != bundle.footer.flags:
                raise Problem("E_FLAGS", f"flags are {bundle.footer.flags:#x}, the content says {flags:#x}")
            contents.append(digest.hexdigest())
            if root_of(own, home) != bundle.footer.root:
                raise Problem("E_ROOT", "the event root does not match the lines", None, checkpoint.parts[part - 1].name)
            every.extend(own)
    if parts is None and root_of(every, home) != checkpoint.root:
        raise Problem("E_ROOT", f"the state root of the {checkpoint} does not match its lines")
    return Whole(0, 0, contents, entries.digest())


def root_of(leaves: List[Tuple[int, int, bytes]], home: Optional[str]) -> bytes:
    """F 10, the event root of lines that come in any order: seqs and times ascend. E_SEQ, E_TIME."""
    root = EventRoot()
    leaves.sort()
    for before, one in zip(leaves, leaves[1:]):
        if before[0] == one[0]:
            raise Problem("E_SEQ", f"seq {one[0]} is there twice")
        if before[1] >= one[1]:
            raise Problem("E_TIME", f"the time of seq {one[0]} is not after that of the seqs before it")
    for _, _, leaf in leaves:
        root.add(leaf)
    return shown_root(root.root(), home)


def add_leaves(root: EventRoot, positions: "array[int]", leaves: bytearray) -> None:
    """Those of some lines, in the order of their seqs."""
    for at in sorted(positions):
        root.add(bytes(leaves[32 * at:32 * at + 32]))


def check_hashes(bundle: Bundle, named: bool) -> None:
    """B 8, step 6, and B 7."""
    blob, whole = bundle.blob, hashlib.sha256()
    end = blob.size - FOOTER_SIZE
    for at in range(0, end, MIB):
        whole.update(blob.read(at, min(MIB, end - at)))
    if whole.digest() != bundle.footer.body_hash:
        raise Problem("E_BODY_HASH", "the bytes before the footer are not those that were written", 0)
    whole.update(blob.read(end, FOOTER_SIZE))
    if named and whole.hexdigest() != bundle.window.parts[bundle.part - 1].sha256:
        raise Problem("E_NAME", f"it is {bundle.window.parts[bundle.part - 1].folder}/{whole.hexdigest()}")


def line_flags(line: Line) -> int:
    """F 4, flags 4 to 6 of one line."""
    return ((HAS_GAP if line.head["op"] == "G" else 0) | (HAS_LO if "lo" in line.head else 0)
            | (HAS_FROM if "from" in line.head else 0))


def note_earliest(earliest: Dict[str, int], line: Line) -> None:
    """B 5."""
    gap = line.head["gap"]["from"] if line.head["op"] == "G" else None
    for member, value in (("lo", line.head.get("lo")), ("from", line.head.get("from")), ("gap", gap)):
        if value is not None:
            earliest[member] = min(value, earliest.get(member, value))


def check_window_follows(window: Window, previous: Optional[Tuple[Footer, bytes]]) -> None:
    """O 3 and B 9, of a window behind what stands in the slot before it: footer and sha256 of the last segment, None in slot 1. Whether the
    window begins with a fence it does not tell, so that its time may be the watermark before it."""
    digest, seq, watermark = (ZERO32, 0, 0) if previous is None else (previous[1], previous[0].last_seq, previous[0].last_time)
    anew = previous is not None and window.previous == ZERO32
    if window.previous != digest and not anew:
        raise Problem("E_CHAIN", f"the {window} was not written after the segment that stands before it")
    if window.first_seq <= seq if anew else window.first_seq != seq + 1:
        raise Problem("E_SEQ", f"the {window} begins with seq {window.first_seq}, the segment before ends at {seq}")
    if window.first_time < watermark:
        raise Problem("E_TIME", f"the {window} begins before the watermark of the segment before")


# --- an archive in a directory ----------------------------------------------------------------------------------------

@contextlib.contextmanager
def open_file(path: str, limit: int, what: str) -> Iterator[Blob]:
    """A regular file of at most `limit` bytes. Never waits: a pipe or a device in its place is refused."""
    try:
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0))
    except OSError as error:
        raise NoAnswer(f"{what} cannot be read: {one_line(error.strerror)}") from None
    with os.fdopen(descriptor, "rb") as file:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise NoAnswer(f"{what} is not a regular file")
        if status.st_size > limit:
            raise Problem("E_TOO_LARGE", f"{what} has {status.st_size} bytes, more than {limit}")
        yield Blob(file, status.st_size)


def read_file(path: str, limit: int, what: str) -> bytes:
    """The bytes of a regular file of at most `limit` bytes."""
    try:
        with open_file(path, limit, what) as blob:
            data = blob.file.read(limit + 1)
    except OSError as error:
        raise NoAnswer(f"{what} cannot be read: {one_line(error.strerror)}") from None
    if len(data) > limit:
        raise Problem("E_TOO_LARGE", f"{what} has more than {limit} bytes")
    return data


def as_problem(error: Exception) -> Problem:
    return error if isinstance(error, Problem) else Problem("E_IO", str(error))


class Rolled(NamedTuple):
    """A window that was read whole and found right, in place of its segments; or a checkpoint, in place of all up to a slot."""
    archive: "Archive"
    window: Window
    footer: Footer
    entries: Dict[Tuple[str, str, str], Dict[str, Any]]
    behind: int = 0  # C 4: its lines up to this seq are those of a checkpoint

    def lines(self, wanted: Callable[[Frame], bool], flags: int = 0) -> Iterator[Tuple["Place", Line]]:
        """The lines of some frames, as the bundles hold them, one frame at a time. With `flags`, only of parts that have one of them."""
        for part in range(1, len(self.window.parts) + 1):
            with self.archive.bundle(self.window, part) as bundle:
                for number, frame in enumerate(bundle.frames):
                    if frame.last_seq > self.behind and wanted(frame) and (not flags or bundle.footer.flags & flags):
                        for line in bundle.lines(number, Order()):
                            if line.head["seq"] > self.behind:
                                yield (0 if self.window.point else self.window.first_slot, part, number), line

    def in_order(self, render: Callable[["Place", Line], bytes]) -> Iterator[bytes]:
        """What `render` makes of each line, in the order of seqs. Holds no more than HELD_AT_ONCE of it, and a frame: as many frames as
        needed are read as often as needed."""
        start = self.window.first_seq
        while start <= self.window.last_seq:
            held: Dict[int, bytes] = {}
            size, limit = 0, self.window.last_seq + 1
            for place, line in self.lines(lambda frame: frame.last_seq >= start and frame.first_seq < limit):
                seq = line.head["seq"]
                if not start <= seq < limit:
                    continue
                held[seq] = render(place, line)
                size += len(held[seq]) + 200
                if size > HELD_AT_ONCE and len(held) > 1:  # the later half is left to the next pass
                    limit = sorted(held)[len(held) // 2]
                    held = {seq: text for seq, text in held.items() if seq < limit}
                    size = sum(len(text) + 200 for text in held.values())
            for seq in sorted(held):
                yield held[seq]
            start = limit


# Where a line is: the slot of its segment; or first slot of the window (0 for the checkpoint that was begun with), part, number of the frame.
Place = Union[int, Tuple[int, int, int]]


class Archive:
    """F 1: the names below one directory, as they are when it is opened."""

    def __init__(self, path: str, identities: Optional[List[bytes]] = None):
        self.identities = identities or []
        self.path, self.notes, self.problems, self.uuid = path, [], [], None  # type: str, List[str], List[Problem], Optional[str]
        if not os.path.isdir(path):
            raise NoAnswer(f"{ascii(path)} is not a directory")
        self.first_put_back: Optional[int] = None
        self.windows: List[Window] = []  # those that are read in place of their segments
        self.listed: List[Window] = []  # all that the newest manifest names
        self.checkpoints: List[Window] = []
        self.start: Optional[Rolled] = None  # the checkpoint that is begun with
        self.judged: Dict[int, Optional[Rolled]] = {}  # by their first slots: None if one cannot be used
        self.said: List[str] = []  # why
        try:
            for name in self._names(""):
                if name not in ("archive.json", "log", "probe", "man", "hist", "ckpt", "keys"):
                    self.notes.append(f"{ascii(name)} is not known to format 0.3 and was passed over")
            for name in self._names("log"):
                if name != "0000":
                    self.notes.append(f"log/{ascii(name)} is not known to format 0.3 and was passed over")
            self.slots = self._numbers(os.path.join("log", "0000"), "slot")
            self.manifests = self._numbers("man", "manifest")
        except OSError as error:
            raise NoAnswer(f"the archive cannot be listed: {one_line(error.strerror)}") from None
        while True:  # M 4.1
            following = (self.manifests or [0])[-1] + 1
            if following > MAX_NUMBER or not os.path.lexists(os.path.join(path, "man", f"{following:016x}")):
                break
            self.manifests.append(following)

    def _names(self, directory: str) -> List[str]:
        """What a directory holds, leftovers of writes aside; nothing if it is not there."""
        path = os.path.join(self.path, directory)
        return sorted(name for name in os.listdir(path) if LEFTOVER.search(name) is None) if os.path.isdir(path) else []

    def _numbers(self, directory: str, what: str) -> List[int]:
        numbers = []
        for name in self._names(directory):
            if re.match(r"[0-9a-f]{16}\Z", name) and 0 < int(name, 16) <= MAX_NUMBER:
                numbers.append(int(name, 16))
            else:
                self.problems.append(Problem("E_NAME", f"{ascii(name)} in {directory} is not the name of a {what}"))
        return numbers

    def identity(self) -> Dict[str, Any]:
        path = os.path.join(self.path, "archive.json")
        if not os.path.lexists(path):
            raise Problem("E_IDENTITY", "there is no archive.json")
        data = read_file(path, MAX_IDENTITY, "archive.json")
        identity = read_identity(data)
        home = Home(identity["archive"])
        self.uuid, home.sealed = home, identity["encryption"] == "age"
        if home.sealed:
            home.keys = self.keys(data, home)
        return identity

    def keys(self, root: bytes, home: Home) -> Keys:
        """E 5: all files of keys, opened and checked."""
        files: List[KeyFile] = []
        previous, since = hashlib.sha256(root).digest(), FIRST_TIME
        name = "keys"
        try:
            for n in range(1, MAX_KEY_FILES + 1):
                name = f"keys/{n:016x}.json"
                if not os.path.lexists(os.path.join(self.path, name)):
                    behind = os.path.lexists(os.path.join(self.path, f"keys/{n + 1:016x}.json"))
                    if behind:
                        raise Problem("E_MISSING", "it is not there, and the one behind it is")
                    break
                data = read_file(os.path.join(self.path, name), MAX_KEYS, name)
                files.append(read_key_file(data, home, n, previous, since))
                previous, since = hashlib.sha256(data).digest(), files[-1].valid_from
            if not files:
                raise Problem("E_MISSING", "it is not there")
            name = f"keys/{len(files):016x}.json"
            return open_key_files(files, self.identities)
        except Problem as problem:
            problem.slot = name
            raise

    def load(self, slot: int) -> bytes:
        return read_file(os.path.join(self.path, "log", "0000", f"{slot:016x}"), MAX_SEGMENT, f"slot {slot}")

    def footer(self, slot: int) -> Footer:
        try:
            data = self.load(slot)
            return read_footer(data, len(data), self.uuid, slot)
        except Problem as problem:
            problem.slot = slot
            raise

    def segment(self, slot: int) -> Segment:
        try:
            return read_segment(self.load(slot), self.uuid, slot)
        except Problem as problem:
            problem.slot = slot
            raise

    def put_back_before(self, window: Window) -> bool:
        """M 4.4: whether a segment with records that can be read lies before a window, and in none: it was made without that one."""
        if self.first_put_back is None:
            self.first_put_back = MAX_NUMBER
            for slot in self.slots:
                if not any(other.first_slot <= slot <= other.last_slot for other in self.windows):
                    with contextlib.suppress(Problem, NoAnswer):
                        if self.footer(slot).records:
                            self.first_put_back = slot
                            break
        return self.first_put_back < window.first_slot

    def maps(self, window: Window) -> Iterator[Tuple[ResumeMap, int]]:
        """M 4.4: the resume maps of the segments of a stale window, as far as they can be read."""
        for slot in range(window.first_slot, window.last_slot + 1):
            with contextlib.suppress(Problem, NoAnswer):
                data = self.load(slot)
                footer = readable_footer(data, self.uuid, slot)
                if footer is not None:
                    yield read_public(memoryview(data), footer), footer.last_seq

    def bundles(self, folder: str) -> List[str]:
        """The names below `hist/` or `ckpt/`, whoever names them."""
        try:
            return self._names(folder)
        except OSError as error:
            raise NoAnswer(f"the archive cannot be listed: {one_line(error.strerror)}") from None

    def manifest(self, n: int) -> Manifest:
        name = f"man/{n:016x}"
        try:
            return read_manifest(read_file(os.path.join(self.path, "man", f"{n:016x}"), MAX_MANIFEST, f"manifest {n}"), self.uuid, n)
        except (Problem, NoAnswer) as error:
            problem = as_problem(error)
            problem.slot = name
            raise problem from None

    @contextlib.contextmanager
    def bundle(self, window: Window, part: int) -> Iterator[Bundle]:
        """One part of a window, as its end tells. Whatever is wrong, also with what is read of it within the context, has its name."""
        expected = window.parts[part - 1]
        try:
            path = os.path.join(self.path, expected.folder, expected.sha256)
            if not os.path.lexists(path):
                raise Problem("E_MISSING", f"a manifest names it for the {window}, and it is not there")
            with open_file(path, MAX_BUNDLE, "it") as blob:
                yield open_bundle(blob, self.uuid, window, part)
        except (Problem, NoAnswer) as error:
            problem = as_problem(error)
            problem.slot = expected.name if problem.slot is None else problem.slot
            raise problem from None

    def use_windows(self, problems: Optional[List[Problem]]) -> None:
        """M 4: from here on, windows of the newest manifest are read in place of their segments. If it cannot be read, that is a
        Problem; given a list, it is put there, and only the log is read."""
        try:
            newest = self.manifest(self.manifests[-1]) if self.manifests else None
            self.windows = self.listed = newest.windows if newest else []
            self.checkpoints = newest.checkpoints if newest else []
        except Problem as problem:
            if problems is None:
                raise
            problems.append(problem)

    def end_of_windows(self) -> Optional[Window]:
        """M 3: the newest window, of those that end behind the log, of which a bundle says the same as the manifest."""
        for window in reversed(self.windows):
            if window.last_slot < (self.slots or [0])[-1]:
                break
            with contextlib.suppress(Problem), self.bundle(window, 1):
                return window
        return None

    def rolled(self, window: Window) -> Optional[Rolled]:
        """B 8, M 4.3: the window, if all of it is right."""
        if window.first_slot not in self.judged:
            self.judged[window.first_slot] = None
            try:
                read_whole(window, lambda part: self.bundle(window, part))
                with self.bundle(window, 1) as bundle:
                    self.judged[window.first_slot] = Rolled(self, window, bundle.footer, bundle.entries)
            except Problem as problem:
                self.refuse(window, problem)
        return self.judged[window.first_slot]

    def begin_with(self, checkpoint: Window) -> bool:
        """C 4: whether the checkpoint may be begun with, as far as can be told without the lines behind it; then that is done (4.4 to 4.6)."""
        self.start = None
        try:
            if self.put_back_up_to(checkpoint):
                return False
            read_whole_checkpoint(checkpoint, lambda part: self.bundle(checkpoint, part))
            with self.bundle(checkpoint, 1) as bundle:
                self.start = Rolled(self, checkpoint, bundle.footer, bundle.entries)
        except Problem as problem:
            self.said.append(f"the {checkpoint} is not used: {problem}")
        return self.start is not None

    def put_back_up_to(self, checkpoint: Window) -> bool:
        """C 4.4, 4.5: whether there is a segment with which the checkpoint was not made."""
        without = checkpoint.point.without if checkpoint.point else []
        covered = sorted([(window.first_slot, window.last_slot) for window in self.listed] + without)
        looked, at = 0, 0
        for slot in self.slots:
            if slot > checkpoint.last_slot:
                break
            while at < len(covered) and covered[at][1] < slot:
                at += 1
            passed_over = any(first <= slot <= last for first, last in without)
            if not passed_over and at < len(covered) and covered[at][0] <= slot:
                continue
            looked += not passed_over
            if looked > MAX_WITHOUT:
                return True
            with contextlib.suppress(Problem, NoAnswer):
                if self.segment(slot).footer.records or passed_over:
                    return True
        return False

    def refuse(self, window: Window, problem: Problem) -> None:
        self.judged[window.first_slot] = None
        self.said.append(f"the {window} is read from its segments: {problem}")

    def name_of(self, place: Place) -> Union[int, str]:
        """What stands in the column of a problem: a slot, or the name of a bundle."""
        if isinstance(place, int):
            return place
        return self.window_of(place).parts[place[1] - 1].name

    def window_of(self, place: Tuple[int, int, int]) -> Window:
        if place[0] == 0 and self.start is not None:
            return self.start.window
        return next(window for window in self.windows if window.first_slot == place[0])

    def lines_at(self, place: Place) -> Iterator[Line]:
        """The lines of a segment, or of a frame of a bundle."""
        if isinstance(place, int):
            yield from self.segment(place).lines()
            return
        with self.bundle(self.window_of(place), place[1]) as bundle:
            yield from bundle.lines(place[2], Order())

    def segments(self, problems: Optional[List[Problem]] = None, deep: bool = False) -> Iterator[Segment]:
        """All segments: without `use_windows` there is nothing else."""
        for unit in self.units(problems, deep):
            if isinstance(unit, Segment):
                yield unit

    def units(self, problems: Optional[List[Problem]] = None, deep: bool = False) -> Iterator[Union[Segment, Rolled]]:
        """O 3, O 4.2: the segments in order, or windows in their place. At the first problem it stops; given a list, it puts the problem
        there, passes over the segment, and does not compare the next one with it. What a checkpoint that is begun with stands for is not read
        (C 4), and DoWithout tells that it does not fit."""
        previous: Optional[Tuple[Footer, bytes]] = None
        expected, broken, watermark = 1, False, None  # type: int, bool, Optional[int]

        def found(problem: Problem, own: Optional[Footer] = None) -> None:
            problem.after = watermark if own is None else own.first_time - (0 if own.flags & FENCE else 1)
            if problems is None:
                raise problem
            problems.append(problem)

        for problem in self.problems if deep else ():  # files that are no segments hide none
            found(problem)
        end = behind = 0
        if self.start is not None:
            checkpoint = self.start.window
            end, expected, watermark, behind = checkpoint.last_slot, checkpoint.last_slot + 1, checkpoint.last_time, checkpoint.last_seq
            previous = self.start.footer, checkpoint.head
            yield self.start
        windows = {max(window.first_slot, end + 1): window for window in self.windows if window.last_slot > end}
        for slot in sorted({*self.slots, *windows}):
            if slot <= end:
                continue  # a window was read in its place
            if slot != expected:
                found(Problem("E_MISSING", f"slots {expected} to {slot - 1} are not there, but {slot} is", None, expected))
                broken = True
            if slot in windows:
                window, rolled = windows[slot], self.rolled(windows[slot])
                if rolled is not None and not broken and slot == window.first_slot:
                    try:
                        check_window_follows(window, previous)
                    except Problem as unfit:
                        self.refuse(window, unfit)
                        rolled = None
                if rolled is not None:
                    end, expected, broken, watermark = window.last_slot, window.last_slot + 1, False, window.last_time
                    previous = rolled.footer, window.head
                    yield rolled._replace(behind=behind)
                    continue
                if not os.path.lexists(os.path.join(self.path, "log", "0000", f"{slot:016x}")):
                    continue
            expected, data, own = slot + 1, b"", None
            try:
                data = self.load(slot)
                own = readable_footer(data, self.uuid, slot)
                segment = read_segment(data, self.uuid, slot)
                if not broken:
                    try:
                        check_follows(segment.footer, previous)
                    except Problem as unfit:
                        if self.start is not None and slot == self.start.window.last_slot + 1:
                            raise DoWithout(str(unfit)) from None
                        raise
            except (Problem, NoAnswer) as error:
                problem = as_problem(error)
                problem.slot, broken = slot, True
                if own is not None:
                    with contextlib.suppress(Problem):
                        problem.left = own, read_public(memoryview(data), own)
                intact = salvage(data, self.uuid, slot) if problem.code == "E_BODY_HASH" else None
                problem.sentence += f" ({intact})" if intact else ""
                found(problem, own)
                watermark = own.last_time if own else watermark
                continue
            if deep:
                try:
                    segment.deep_check()
                except Problem as problem:
                    problem.slot = slot
                    found(problem, own)  # all the other records can be used
            watermark = segment.footer.last_time
            self.uuid = self.uuid or uuid_text(segment.footer.archive)
            previous, broken, data = (segment.footer, segment.sha256), False, b""
            yield segment
        newest = self.end_of_windows()
        if newest is not None and expected <= newest.last_slot + 1:  # M 3: the last segment of a window has a successor
            last = newest.last_slot
            there = "slot {} is" if expected > last else "slots {} to " + str(last + 1) + " are"
            found(Problem("E_MISSING", there.format(expected) + f" not there, but a window goes up to {last}", None, expected))


# --- verify, log --------------------------------------------------------------------------------------------------------

def show(text: str, to: Any = None) -> None:
    stream = (to or sys.stdout).buffer
    stream.write(text.encode("utf-8", "backslashreplace") + b"\n")


class Facts:
    """O 4.3, facts 2, 3 and 5. Takes memory for every object that was ever recorded. Begins anew behind what cannot be read."""

    def __init__(self) -> None:
        self.there: Dict[Key, Tuple[str, int, int]] = {}  # uid, era, newest version of what is present or withheld
        self.proofs: Dict[Tuple[str, str, str], Tuple[str, int, int]] = {}  # kind, provenAt, slot of the newest entry

    def hole(self) -> None:
        self.there.clear()
        self.proofs.clear()

    def take_map(self, segment: Segment) -> None:
        """The resume map of a segment, after its records. A fence that begins anew knows only what was left."""
        footer = segment.footer
        if segment.public.complete or footer.previous == ZERO32:
            self.proofs.clear()
        for key, entry in segment.public.entries.items():
            self.proofs.pop(key, None)
            if "provenAt" in entry:
                self.proofs[key] = entry["kind"], entry["provenAt"], footer.first_slot

    def broken_by(self, line: Line) -> List[str]:
        """What is wrong with the next record."""
        op, seq = line.head["op"], line.head["seq"]
        if not line.known or "k" not in line.head:
            return []
        claim = self._claim(line)
        fact = self._fact(line.object_key, line.head["k"][5], op, line)
        return [f"seq {seq}: {wrong}" for wrong in (fact, claim) if wrong]

    def _fact(self, key: Key, uid: str, op: str, line: Line) -> Optional[str]:
        known, back_dated = self.there.get(key), "from" in line.head
        if op in "DXN":
            if known is not None and (not back_dated if op == "N" else known[0] == uid):
                del self.there[key]
            return None
        try:
            version = line.head["rv"] if op == "W" else resource_version(line)
        except Problem:
            version = None  # the deep check tells
        number, era = int(version) if version is not None else 0, line.head.get("era", 1)
        if known is None:
            self.there[key] = uid, era, number
            return None
        if known[0] != uid:
            if back_dated:
                return None
            self.there[key] = uid, era, number
            return "it has a new uid, and no record ended the old one"
        newest = known[2] if known[1] == era else 0
        self.there[key] = uid, era, max(number, newest)
        if known[1] == era and version is not None and number <= newest:
            return f"it is of version {number}, and version {newest} was recorded before"
        return None

    def _claim(self, line: Line) -> Optional[str]:
        group, kind, namespace, _ = line.object_key
        for (proven_group, resource, scope) in sorted(self.proofs):
            proven_kind, proven, slot = self.proofs[proven_group, resource, scope]
            if proven_group == group and proven_kind == kind and scope in ("", namespace):
                says = f"it is of {line.head['t']}, and slot {slot} says that {resource} was complete up to {proven}"
                return says if line.head["t"] <= proven else None
        return None


class Replayed:
    """C 1 and C 6, deep: what of the segments, read in order, a checkpoint keeps. Holds a hash and a few words for each line that may matter."""

    def __init__(self, checkpoints: List[Window], archive: Optional[str]):
        self.waiting, self.archive, self.whole, self.expected = list(checkpoints), archive, True, 1
        self.states: Dict[Key, Tuple[Tuple[int, int], str, Tuple[int, int, bytes]]] = {}  # place, uid, leaf
        self.ends: Dict[Key, List[Tuple[Tuple[int, int], str, Tuple[int, int, bytes]]]] = {}
        self.gaps: Dict[int, List[Tuple[int, Dict[str, Any], Tuple[int, int, bytes]]]] = {}
        self.last = (0, 0)
        self.roots: Dict[int, bytes] = {}  # by slot: the state root
        self.ended: Dict[int, Tuple[int, bytes]] = {}  # by slot: epoch and nonce
        self.passed_over: List[Tuple[int, int]] = []  # slots that gaps of cause damage name

    def take(self, segment: Segment) -> Iterator[Problem]:
        f = segment.footer
        self.whole &= f.first_slot == self.expected
        self.expected = f.first_slot + 1
        if not self.waiting:
            return
        for line in segment.lines():
            self._line(line)
        while self.waiting and self.waiting[0].last_slot <= f.last_slot:
            checkpoint = self.waiting.pop(0)
            assert checkpoint.point is not None
            if not self.whole or checkpoint.point.without or checkpoint.last_slot != f.last_slot:
                continue
            name = checkpoint.parts[0].name
            if (checkpoint.last_seq, checkpoint.last_time, checkpoint.head) != (f.last_seq, f.last_time, segment.sha256):
                yield Problem("E_CHAIN", f"last seq, last time or head of the {checkpoint} is not that of its segment", None, name)
            if (checkpoint.last_seq, checkpoint.point.t) != self.last:
                yield Problem("E_PUBLIC", f"t of the {checkpoint} is not the time of its last record", None, name)
            if any(first <= f.last_slot for first, _ in self.passed_over):
                yield Problem("E_PUBLIC", f"without of the {checkpoint} is empty, and gaps name slots that were passed over", None, name)
            self.ended[checkpoint.last_slot] = f.epoch, f.nonce
            self.roots[checkpoint.last_slot] = root_of(self.kept(checkpoint.point.ends_from, f.last_time), self.archive)

    def _line(self, line: Line) -> None:
        head = line.head
        seq, leaf = head["seq"], (head["seq"], head["t"], leaf_hash(line))
        self.last = seq, head["t"]
        if not line.known or head["op"] == "H":
            return
        if head["op"] == "G":
            if head["gap"]["cause"] == "damage" and "object" not in head["gap"]:
                self.passed_over.extend(slots_of(head["gap"].get("detail", "")))
            self.gaps.setdefault(head["gap"].get("opened", seq), []).append((seq, head["gap"], leaf))
            return
        key, place, uid = line.object_key, (head.get("from", seq), seq), head["k"][5]
        state = self.states.get(key)
        if head["op"] in "DX":
            if state is None or state[0] < place:
                self.ends.setdefault(key, []).append((place, uid, leaf))
        elif state is None or state[0] < place:
            self.states[key] = place, uid, leaf
            later = [end for end in self.ends.get(key, []) if end[0] > place]
            if later:
                self.ends[key] = later
            else:
                self.ends.pop(key, None)

    def kept(self, ends_from: int, last_time: int) -> List[Tuple[int, int, bytes]]:
        kept = []
        for key, (place, uid, leaf) in self.states.items():
            if place[0] >= ends_from or all(end[1] != uid for end in self.ends.get(key, [])):
                kept.append(leaf)
        kept.extend(leaf for ends in self.ends.values() for place, _, leaf in ends if place[0] >= ends_from)
        for lines in self.gaps.values():
            newest = max(lines, key=lambda line: line[0])[1]
            if newest.get("to", last_time + 1) > last_time or newest["cause"] == "damage":
                kept.extend(leaf for _, _, leaf in lines)
        return kept


class Beside:
    """M 5, deep: what the segments say of each window of the newest manifest, gathered while they are read in order."""

    def __init__(self, windows: List[Window], archive: Optional[str]):
        self.windows = {window.first_slot: window for window in windows}
        self.proofs, self.maps_known, self.expected = Proofs(), True, 1
        self.window: Optional[Window] = None
        self.archive = archive
        self.root, self.earliest = EventRoot(), {}  # type: EventRoot, Dict[str, int]
        self.entries: Dict[int, bytes] = {}  # by first slot: digest of Proofs at the end of the window
        self.compared: Set[int] = set()  # windows all of whose segments were read
        self.points: Dict[int, bytes] = {}  # by last slot of checkpoints: digest of Proofs there
        self.ends: Set[int] = set()  # these slots

    def lost(self, problem: Problem) -> None:
        """A segment that cannot be used, or several that are not there."""
        if isinstance(problem.slot, int) and problem.code not in ("E_OBJECT", "E_KEY"):
            self.window = None
            if problem.left is None:
                self.maps_known = False
            else:
                self.proofs.take(problem.left[1], problem.left[0].last_seq)
            self.expected = problem.slot + 1

    def take(self, segment: Segment) -> Iterator[Problem]:
        f = segment.footer
        if f.first_slot != self.expected:
            self.window, self.maps_known = None, False
        self.expected = f.first_slot + 1
        self.proofs.take(segment.public, f.last_seq)
        if f.last_slot in self.ends and self.maps_known:
            self.points[f.last_slot] = self.proofs.digest()
        name = ""
        if f.first_slot in self.windows:
            self.window, self.root, self.earliest = self.windows[f.first_slot], EventRoot(), {}
            name = self.window.parts[0].name
            for member in ("previous", "first_seq", "first_time"):
                if getattr(self.window, member) != getattr(f, member):
                    yield Problem("E_CHAIN", f"{member.replace('_', ' ')} of the {self.window} is not that of its first segment", None, name)
        if self.window is None:
            return
        for line in segment.lines():
            self.root.add(leaf_hash(line))
            note_earliest(self.earliest, line)
        window, name = self.window, self.window.parts[0].name
        if f.last_slot < window.last_slot:
            return
        self.window = None
        self.compared.add(window.first_slot)
        if (window.last_seq, window.last_time, window.head) != (f.last_seq, f.last_time, segment.sha256):
            yield Problem("E_CHAIN", f"last seq, last time or head of the {window} is not that of its last segment", None, name)
        if window.root != shown_root(self.root.root(), self.archive):
            yield Problem("E_ROOT", f"the event root of the {window} is not that of its segments", None, name)
        if window.earliest != self.earliest:
            yield Problem("E_PUBLIC", f"earliest of the {window} is not that of its segments", None, name)
        if self.maps_known:
            self.entries[window.first_slot] = self.proofs.digest()


def verify_manifests(archive: Archive, problems: List[Problem]) -> Tuple[Optional[Manifest], Set[str]]:
    """M 5, ends: every manifest. The newest one, if it can be read, and the bundles that any of them names."""
    before: Optional[Manifest] = None
    expected, named = 1, set()  # type: int, Set[str]
    newest: Optional[Manifest] = None
    for n in archive.manifests:
        if n != expected:
            problems.append(Problem("E_MISSING", f"manifests {expected} to {n - 1} are not there, but {n} is", None, f"man/{expected:016x}"))
            before = None
        expected, newest = n + 1, None
        try:
            manifest = archive.manifest(n)
            named.update(part.name for window in manifest.windows + manifest.checkpoints for part in window.parts)
            newest = manifest
            if before is not None:
                check_manifest_follows(manifest, before)
        except Problem as problem:
            problem.slot = f"man/{n:016x}"
            problems.append(problem)
        before = newest
    return newest, named


def verify_windows(archive: Archive, windows: List[Window], beside: Beside, problems: List[Problem]) -> List[Tuple[Window, Whole]]:
    """M 5, data and deep: the windows that are right by themselves. If one of several parts is wrong, the others are read all the same."""
    right: List[Tuple[Window, Whole]] = []
    for window in windows:
        read = read_whole_checkpoint if window.point else read_whole

        def opened(part: int, window: Window = window) -> "contextlib.AbstractContextManager[Bundle]":
            return archive.bundle(window, part)
        try:
            whole = read(window, opened, deep=window.point is None and window.first_slot not in beside.compared)  # else the segments told what is wrong with objects
        except Problem as first:
            found: List[Problem] = []
            for part in range(1, len(window.parts) + 1):
                try:
                    read(window, opened, [part])
                except Problem as problem:
                    found.append(problem)
            first.slot = first.slot or window.parts[0].name
            problems.extend(found or [first])
            continue
        told = beside.points.get(window.last_slot) if window.point else beside.entries.get(window.first_slot)
        if not window.stale and told is not None and told != whole.entries:
            problems.append(Problem("E_PUBLIC", f"entries of the {window} are not what the resume maps of the segments say", None, window.parts[0].name))
        right.append((window, whole))
    return right


def verify(path: str, facts: Optional[Facts] = None, identities: Optional[List[bytes]] = None) -> int:
    """Everything of F 12 with the deep check, O 3 for all neighbours, that gaps are closed by what names them, manifests and windows as
    deep as M 5 goes, and, if asked, O 4.3. 7 if there is a problem."""
    problems: List[Problem] = []
    printed, usable = 0, True
    archive: Optional[Archive] = None
    try:
        archive = Archive(path, identities)
        identity = archive.identity()
        show(f"archive {identity['archive']} of cluster {ascii(identity['cluster'])[1:-1]}, created {identity['created']}")
        keys = keys_of(archive.uuid)
        if keys is not None:
            show(f"the fingerprint of its key is {keys.fingerprint(identity['archive'])}", sys.stderr)
    except (Problem, NoAnswer) as error:
        if archive is None and isinstance(error, NoAnswer):
            raise
        problems.append(as_problem(error))
        sealed = archive is not None and isinstance(archive.uuid, Home) and archive.uuid.sealed
        usable = problems[0].code not in ("E_VERSION", "E_FEATURE") and not sealed  # what we do not know how to read, we do not judge
    ranges: List[List[int]] = []
    count = epochs = known = 0
    openings: Set[int] = set()
    right: List[Tuple[Window, Whole]] = []
    rights: Set[int] = set()
    newest: Optional[Manifest] = None
    if archive is not None and usable:
        newest, named = verify_manifests(archive, problems)
        windows = newest.windows if newest else []
        checkpoints = newest.checkpoints if newest else []
        beside, replayed = Beside(windows, archive.uuid), Replayed(checkpoints, archive.uuid)
        beside.ends = {checkpoint.last_slot for checkpoint in checkpoints}
        if windows and (archive.slots or [0])[-1] <= windows[-1].last_slot:
            end = windows[-1].last_slot + 1
            problems.append(Problem("E_MISSING", f"slot {end} is not there, but a window goes up to {end - 1}", None, end))
        known = len(problems)
        for segment in archive.segments(problems, deep=True):
            f = segment.footer
            count, epochs = count + 1, epochs + bool(f.flags & FENCE)
            if f.records and ranges and ranges[-1][1] + 1 == f.first_seq:
                ranges[-1][1], ranges[-1][3] = f.last_seq, f.last_time
            elif f.records:
                ranges.append([f.first_seq, f.last_seq, f.first_time, f.last_time])
            if facts and len(problems) > known:
                facts.hole()
            for problem in problems[known:]:
                beside.lost(problem)
            problems.extend(beside.take(segment))
            problems.extend(replayed.take(segment))
            for line in segment.lines() if f.flags & HAS_GAP or facts else ():
                for wrong in facts.broken_by(line) if facts else ():
                    problems.append(Problem("FACT", wrong, None, f.first_slot))
                gap = line.head.get("gap") if line.head["op"] == "G" else None
                if gap and "opened" not in gap:
                    openings.add(line.head["seq"])
                elif gap and gap["opened"] not in openings and any(first <= gap["opened"] <= last for first, last, _, _ in ranges):
                    problems.append(Problem("E_LINE", f"seq {line.head['seq']} closes gap {gap['opened']}, which did not open one", None, f.first_slot))
            if facts:
                facts.take_map(segment)
            known = len(problems)
            for problem in problems[printed:]:
                show(str(problem))
            printed = len(problems)
        right = verify_windows(archive, windows, beside, problems)
        ranges = joined(ranges + [[window.first_seq, window.last_seq, whole.first_time, whole.last_time] for window, whole in right])
        for window, _ in right:
            if window.first_slot not in beside.compared:
                archive.notes.append(f"the {window} was not compared with its segments, which cannot all be read")
            elif window.first_slot not in beside.entries:
                archive.notes.append(f"entries of the {window} were not compared: a resume map before its end cannot be read")
        rights = {checkpoint.last_slot for checkpoint, _ in verify_windows(archive, checkpoints, beside, problems)}
        for checkpoint in checkpoints:
            told = replayed.roots.get(checkpoint.last_slot)
            for part in range(1, len(checkpoint.parts) + 1) if told is not None and checkpoint.last_slot in rights else ():
                with archive.bundle(checkpoint, part) as bundle:
                    if (bundle.footer.epoch, bundle.footer.nonce) != replayed.ended[checkpoint.last_slot]:
                        name = checkpoint.parts[part - 1].name
                        problems.append(Problem("E_CHAIN", f"epoch or nonce of the {checkpoint} is not that of its last segment", None, name))
            if told is not None and checkpoint.last_slot not in beside.points:
                archive.notes.append(f"entries of the {checkpoint} were not compared: a resume map before its end cannot be read")
            if told is None:
                archive.notes.append(f"the {checkpoint} was not compared with the segments, which cannot all be read")
            elif told != checkpoint.root and checkpoint.last_slot in rights:
                problems.append(Problem("E_ROOT", f"the state root of the {checkpoint} is not what the segments come to", None, checkpoint.parts[0].name))
        if archive.manifests and newest is None:
            archive.notes.append("no bundle was checked: the newest manifest cannot be read")
        for folder, name in ((folder, name) for folder in ("hist", "ckpt") for name in archive.bundles(folder)):
            if DIGEST.match(name) is None:
                archive.notes.append(f"{folder}/{ascii(name)} is not known to format 0.3 and was passed over")
            elif f"{folder}/{name}" not in named and newest is not None:
                archive.notes.append(f"{folder}/{name} is named by no manifest")
    for problem in problems[printed:]:
        show(str(problem))
    for note in archive.notes if archive else []:
        show(f"note: {note}")
    if archive is not None and usable:
        show(f"readable: {count} of {len(archive.slots)} segments found, {epochs} epochs")
        if newest is not None:
            show(f"readable: {len(right)} of {len(newest.windows)} windows of manifest {newest.n}")
            if newest.checkpoints:
                show(f"readable: {len(rights)} of {len(newest.checkpoints)} checkpoints")
        for number, (first, last, begin, end) in enumerate(ranges):
            if first > (ranges[number - 1][1] + 1 if number else 1):
                show(f"not readable: seqs {ranges[number - 1][1] + 1 if number else 1} to {first - 1}")
            show(f"readable: seqs {first} to {last}, {format_time(begin)} to {format_time(end)}")
    show(f"{len(problems)} problem(s)")
    return 7 if problems else 0


def joined(ranges: List[List[int]]) -> List[List[int]]:
    """(first seq, last seq, time of the first, time of the last): what touches or overlaps is put together."""
    result: List[List[int]] = []
    for one in sorted(ranges):
        if not result or one[0] > result[-1][1] + 1:
            result.append(list(one))
        elif one[1] > result[-1][1]:
            result[-1][1], result[-1][3] = one[1], one[3]
    return result


def describe(line: Line, version: Optional[str] = None) -> Dict[str, Any]:
    """One record as `log` and `dump` show it; `version` is that of its object. Values of the key are shown as stored; null where a
    record has no key."""
    head = line.head
    known = line.known
    group, kind, namespace, name = line.object_key if known and "k" in head else (None, None, None, None)
    version = head.get("rv") if known and line.obj is None else version
    shown = {
        "seq": head["seq"], "t": format_time(head["t"]), "lo": format_time(head["lo"]) if known and "lo" in head else None,
        "op": head["op"], "group": group, "kind": kind, "namespace": namespace, "name": name,
        "uid": head["k"][5] if group is not None else None, "resourceVersion": version, "inferred": known and "i" in head,
        "contentId": None if line.obj is None else "sha256:" + hashlib.sha256(line.obj).hexdigest(),
        "era": head.get("era", 1) if known else 1, "fromSeq": head.get("from") if known else None,
    }
    if head["op"] == "G":
        shown["gap"] = head["gap"]
    return shown


def complain(problems: List[Problem]) -> int:
    """What was passed over, to stderr (O 4.2). 7 if there is any."""
    for problem in problems:
        show(f"problem: {problem}", sys.stderr)
    return 7 if problems else 0


def log(path: str, keep_going: bool, log_only: bool = False, identities: Optional[List[bytes]] = None) -> int:
    """One line per record, in the order of seqs, of windows (the bundles of which are read as often as needed) as of segments."""
    archive = Archive(path, identities)
    archive.identity()
    problems: List[Problem] = []

    def shown(place: Place, line: Line) -> bytes:
        version = None
        try:
            version = resource_version(line)
        except Problem as problem:
            problem.slot = archive.name_of(place)
            broken[line.head["seq"]] = problem
        return COMPACT.encode(describe(line, version)).encode("utf-8", "backslashreplace") + b"\n"

    broken: Dict[int, Problem] = {}
    if not log_only:
        archive.use_windows(problems if keep_going else None)
    for unit in archive.units(problems if keep_going else None):
        if isinstance(unit, Rolled):
            for text in unit.in_order(shown):
                sys.stdout.buffer.write(text)
        else:
            for line in unit.lines():
                sys.stdout.buffer.write(shown(unit.footer.first_slot, line))
        problems.extend(broken[seq] for seq in sorted(broken))
        broken.clear()
    for sentence in archive.said:
        show(f"note: {sentence}", sys.stderr)
    return complain(problems)


# --- state at T -----------------------------------------------------------------------------------------------------------

class Target(NamedTuple):
    """O 4.1: S, or None if it follows from T."""
    time: int
    seq: Optional[int]


class Applied(NamedTuple):
    """What is known of one object: `state` is present, withheld or absent, set by record `seq`, which is at `place`."""
    state: str
    seq: int
    place: Place
    uid: str


EFFECT = {"A": "present", "M": "present", "S": "present", "W": "withheld", "N": "absent"}


class Surroundings:
    """O 4.1, O 4.2: all that one pass over the whole archive tells about T: S, back-dated records, gaps, proofs, late changes."""

    def __init__(self, target: Target):
        self.target, self.seq, self.first = target, target.seq or 0, None  # type: Target, int, Optional[int]
        self.back_dated: List[Tuple[int, int, Key, Optional[Applied]]] = []
        self.gaps: Dict[int, Dict[str, Any]] = {}
        self.late: List[Dict[str, Any]] = []
        self.proofs = Proofs()
        self.watermark = 0
        self.start: Optional[Window] = None  # the checkpoint that was begun with
        self.own: Set[int] = set()  # its lines of gaps
        self.named_again = False  # C 4.2

    def take_what_is_left(self, problem: Problem) -> None:
        """F 12: of a damaged segment, its resume map."""
        if problem.left is not None:
            self.proofs.take(problem.left[1], problem.left[0].last_seq)

    def take(self, unit: Union[Segment, Rolled]) -> None:
        footer, time = unit.footer, self.target.time
        self.watermark = footer.last_time
        if isinstance(unit, Segment):
            self.proofs.take(unit.public, footer.last_seq)
            records = footer.records
        else:
            if unit.window.stale or unit.archive.put_back_before(unit.window):
                for public, last_seq in unit.archive.maps(unit.window):
                    self.proofs.take(public, last_seq)
            else:
                self.proofs.replace(unit.entries)
            records = footer.last_seq - footer.first_seq + 1
        if records and self.target.seq is None and footer.last_time <= time:
            self.seq = footer.last_seq
        searched = self.target.seq is None and records and footer.first_time <= time < footer.last_time
        flags = HAS_GAP | HAS_LO | HAS_FROM
        begun = isinstance(unit, Rolled) and unit.window.point is not None
        if isinstance(unit, Rolled) and begun:
            self.start = unit.window
        if not begun and not searched and not (footer.flags & flags if isinstance(unit, Segment) else self.reaches_back(unit.window.earliest)):
            return
        slot, known = footer.first_slot, len(self.late)
        flags = 0 if searched else flags
        for place, line in unit.lines(lambda _: True, flags) if isinstance(unit, Rolled) else ((slot, line) for line in unit.lines()):
            head = line.head
            if self.target.seq is None and head["t"] <= time:
                self.seq = max(self.seq, head["seq"])
            if not line.known:
                continue
            if head["op"] == "G":
                gap = dict(head["gap"])
                opened = gap.pop("opened", head["seq"])
                if begun:
                    self.own.add(head["seq"])
                elif self.start and opened <= self.start.last_seq and opened not in self.own:
                    self.named_again = True
                self.gaps[opened] = {**self.gaps.get(opened, {}), **gap}
            elif "lo" in head and head["lo"] < time < head["t"] and "k" in head:
                shown = describe(line._replace(obj=None))
                self.late.append({member: shown[member] for member in ("seq", "op", "group", "kind", "namespace", "name", "lo", "t")})
            if "from" in head:
                self.back_dated.append((head["from"], head["seq"], line.object_key, effect_of(line, place)))
        self.late[known:] = sorted(self.late[known:], key=lambda late: late["seq"])  # a window has them in the order of keys; gaps, without key, in that of seqs

    def reaches_back(self, earliest: Dict[str, int]) -> bool:
        """B 5, M 4.4: whether a window can matter for what lies before it. One that closes a gap may say that the gap began at another time."""
        time = self.target.time
        return earliest.get("lo", time) < time or earliest.get("from", self.seq + 1) <= self.seq or "gap" in earliest

    def doubted(self, windows: List[Window]) -> List[Window]:
        """M 4.3: windows with slots that a writer passed over before T. What it then recorded says nothing of what only they hold."""
        slots: List[Tuple[int, int]] = []
        for opened, gap in self.gaps.items():
            if opened <= self.seq and gap["cause"] == "damage" and "object" not in gap:
                slots.extend(slots_of(gap.get("detail", "")))
        return [window for window in windows if any(first <= window.last_slot and window.first_slot <= last for first, last in slots)]

    def fits(self) -> bool:
        """C 4.1 to 4.3: whether what stands behind the checkpoint that was begun with allows it."""
        if self.start is None or self.start.point is None:
            return True
        point, last = self.start.point, self.start.last_seq
        if self.named_again or any(seq > last and counts <= self.seq and counts < point.ends_from for counts, seq, _, _ in self.back_dated):
            return False
        named: List[Tuple[int, int]] = []
        for opened, gap in self.gaps.items():
            if opened <= self.seq and gap["cause"] == "damage" and "object" not in gap:
                named.extend((first, min(final, self.start.last_slot)) for first, final in slots_of(gap.get("detail", "")) if first <= self.start.last_slot)
        passed: List[Tuple[int, int]] = []
        for first, final in sorted(named):
            if passed and first <= passed[-1][1] + 1:
                passed[-1] = passed[-1][0], max(final, passed[-1][1])
            else:
                passed.append((first, final))
        return passed == point.without

    def covering(self) -> List[Dict[str, Any]]:
        """O 4.2, the gaps that cover T."""
        time = self.target.time
        covering = [{"seq": seq, **gap} for seq, gap in sorted(self.gaps.items()) if gap["from"] < time and time < gap.get("to", time + 1)]
        for gap in covering:
            gap["from"] = format_time(gap["from"])
            if "to" in gap:
                gap["to"] = format_time(gap["to"])
        return covering

    def proven(self) -> List[Dict[str, Any]]:
        """O 4.2, every resource that was ever captured, and whether it is proven at T."""
        time, resources = self.target.time, []
        gaps = [(g["group"], g["resource"], g.get("scope", "")) for g in self.covering() if "object" not in g]
        for key in sorted(self.proofs.known, key=sort_key):
            known = self.proofs.known[key]
            first, last = known.get("since"), known.get("provenAt")
            proven = first is not None and last is not None and first <= time <= last and not any(gap[:2] == key[:2] and gap[2] in ("", key[2]) for gap in gaps)
            resources.append({
                "group": key[0], "resource": key[1], "scope": key[2] or None, "captured": known["current"], "state": known["state"],
                "provenFrom": None if first is None else format_time(first), "provenTo": None if last is None else format_time(last),
                "proven": proven})
        return resources


def slots_of(detail: str) -> List[Tuple[int, int]]:
    """O 3.2: the slots that the detail of a gap of cause `damage` names."""
    found = re.match(r"segments ([0-9]+(?:-[0-9]+)?(?:,[0-9]+(?:-[0-9]+)?)*)\Z", detail)
    ranges = [part.split("-") for part in found.group(1).split(",")] if found else []
    return [(int(part[0]), int(part[-1])) for part in ranges]


def lies_in(first: int, last: int, ranges: Sequence[Tuple[int, int]]) -> bool:
    """Whether all numbers from `first` to `last` lie in one of ranges that do not touch."""
    return any(one <= first and last <= other for one, other in ranges)


def sort_key(key: Tuple[str, ...]) -> Tuple[bytes, ...]:
    return tuple(part.encode("utf-8") for part in key)


def effect_of(line: Line, place: Place) -> Optional[Applied]:
    """O 4.1, the table: the new state, or None for a record that can only end one."""
    state = EFFECT.get(line.head["op"])
    return None if state is None else Applied(state, line.head["seq"], place, line.head["k"][5])


class Fold:
    """O 4.1: the records of each object in the order of (counts from, seq). Objects do not depend on each other, so that records may come
    in any order that is the right one for each object. Back-dated ones are merged in where they count."""

    def __init__(self, back_dated: List[Tuple[int, int, Key, Optional[Applied]]], last: int):
        self.objects: Dict[Key, Applied] = {}
        self.last = last
        self.waiting: Dict[Key, List[Tuple[int, int, Optional[Applied]]]] = {}
        for counts, seq, key, applied in sorted(back_dated, key=lambda entry: entry[:2], reverse=True):
            if counts <= last:
                self.waiting.setdefault(key, []).append((counts, seq, applied))

    def take(self, line: Line, place: Place) -> None:
        head = line.head
        if not line.known or "k" not in head or "from" in head or head["seq"] > self.last:
            return
        key, applied = line.object_key, effect_of(line, place)
        self.catch_up(key, head["seq"])
        if applied is not None:
            self.objects[key] = applied
        elif key in self.objects and self.objects[key].uid == head["k"][5]:
            del self.objects[key]

    def catch_up(self, key: Key, before: int) -> None:
        waiting = self.waiting.get(key)
        while waiting and waiting[-1][0] < before:
            applied = waiting.pop()[2]
            if applied is not None:
                self.objects[key] = applied

    def end(self) -> Dict[Key, Applied]:
        for key in self.waiting:
            self.catch_up(key, self.last + 1)
        return self.objects


def state_at(archive: Archive, surroundings: Surroundings, problems: Optional[List[Problem]]) -> Dict[Key, Applied]:
    """O 4.1. A window has the records of an object side by side, except for those of an object whose home changed (O 5): such objects are
    looked at in a second pass, in the order of seqs."""
    last = surroundings.seq
    fold, moved = Fold(surroundings.back_dated, last), set()  # type: Fold, Set[Key]
    for unit in archive.units(problems):
        if unit.footer.first_seq > last:
            break
        if isinstance(unit, Segment):
            for line in unit.lines():
                fold.take(line, unit.footer.first_slot)
            continue
        newest: Dict[Key, int] = {}
        for place, line in unit.lines(lambda frame: frame.first_seq <= last):
            if line.known and "k" in line.head:
                if newest.get(line.object_key, 0) > line.head["seq"]:
                    moved.add(line.object_key)
                newest[line.object_key] = line.head["seq"]
            fold.take(line, place)
    objects = fold.end()
    if moved:
        records: List[Tuple[int, Place, Line]] = []
        for unit in archive.units(None if problems is None else []):
            if unit.footer.first_seq > last:
                break
            slot = unit.footer.first_slot
            lines = ((slot, line) for line in unit.lines()) if isinstance(unit, Segment) else unit.lines(lambda frame: frame.first_seq <= last)
            records.extend((line.head["seq"], place, line._replace(obj=None)) for place, line in lines
                           if line.known and "k" in line.head and line.object_key in moved)
        again = Fold([entry for entry in surroundings.back_dated if entry[2] in moved], last)
        for _, place, line in sorted(records, key=lambda record: record[0]):
            again.take(line, place)
        objects = {**{key: applied for key, applied in objects.items() if key not in moved}, **again.end()}
    return objects


def find_target(archive: Archive, at: str, keep_going: bool) -> Target:
    """O 4.1: what `--at` means."""
    wanted = int(at[4:]) if re.match(r"seq:[0-9]{1,19}\Z", at) else None
    if at != "latest" and wanted is None:
        try:
            return Target(parse_time(at), None)
        except (ValueError, OverflowError) as error:
            raise NoAnswer(f"--at: {one_line(error)}") from None
    if not archive.slots:
        raise NoAnswer("the archive has no segments yet")
    if wanted is None:
        end = archive.end_of_windows()
        if end is not None:
            return Target(end.last_time + 1, end.last_seq)  # what is missing behind it came later
        for slot in reversed(archive.slots):
            try:
                footer = archive.footer(slot)
            except Problem:
                if keep_going:
                    continue
                raise
            return Target(footer.last_time, footer.last_seq)
        raise NoAnswer("no segment can be read")
    for window in archive.windows:
        if window.first_seq <= wanted <= window.last_seq:
            rolled = archive.rolled(window)
            for _, line in rolled.lines(lambda frame: frame.first_seq <= wanted <= frame.last_seq) if rolled else ():
                if line.head["seq"] == wanted:
                    return Target(line.head["t"], wanted)
    for slot in archive.slots:
        try:
            footer = archive.footer(slot)
        except Problem:
            continue  # the others are tried, and if none has it, that is said
        if footer.first_seq <= wanted <= footer.last_seq:
            for line in archive.segment(slot).lines():
                if line.head["seq"] == wanted:
                    return Target(line.head["t"], wanted)
    for checkpoint in archive.checkpoints:
        if checkpoint.last_seq == wanted and checkpoint.point and archive.begin_with(checkpoint):
            return Target(checkpoint.point.t, wanted)
    raise NoAnswer(f"the archive has no record {wanted}, or it is damaged")


def dump(path: str, at: str, explain: bool, keep_going: bool, log_only: bool = False, identities: Optional[List[bytes]] = None) -> int:
    """O 4: three passes, none of which holds more than one segment or frame: what surrounds T, the state at S, the objects themselves."""
    archive = Archive(path, identities)
    archive.identity()
    before: List[Problem] = []
    if not log_only:
        archive.use_windows(before if keep_going else None)
    target = find_target(archive, at, keep_going)
    # C 4. Where a slot ends in a fence, its last time may be later than that of its last record, and a gap may end between the two.
    starts = [checkpoint for checkpoint in reversed(archive.checkpoints) if checkpoint.last_time <= target.time
              and (target.seq is None or checkpoint.last_seq <= target.seq)]
    for checkpoint in starts:
        if archive.begin_with(checkpoint):
            with contextlib.suppress(DoWithout):
                around, problems = surround(archive, target, before)
                if around.fits():
                    break
        archive.start, archive.windows = None, archive.listed
    else:
        archive.start = None
        around, problems = surround(archive, target, before)
    hiding = [problem for problem in problems if problem.touches(target.time)]
    if hiding and not keep_going:
        raise hiding[0]
    if around.seq == 0:
        raise NoAnswer("there is no answer: the archive has no record at or before that time")
    objects = state_at(archive, around, [])
    needed: Dict[Place, Set[int]] = {}
    for applied in objects.values():
        if applied.state == "present":
            needed.setdefault(applied.place, set()).add(applied.seq)
    places: Dict[int, Tuple[int, int]] = {}
    with tempfile.TemporaryFile() as spool:
        for place in needed:
            spool_objects(archive, place, needed[place], spool, places)
        for key in sorted(objects, key=sort_key):
            if objects[key].state == "present":
                position, size = places[objects[key].seq]
                spool.seek(position)
                sys.stdout.buffer.write(spool.read(size))
    report(around, objects, problems, explain, archive.said)
    return 7 if hiding else 0


def surround(archive: Archive, target: Target, before: List[Problem]) -> Tuple[Surroundings, List[Problem]]:
    """The first pass of `dump`, again and again without windows that hold what a writer passed over; and the problems on the way."""
    while True:
        around, problems = Surroundings(target), list(before)
        known = len(problems)
        for unit in archive.units(problems):
            for problem in problems[known:]:
                around.take_what_is_left(problem)
            known = len(problems)
            around.take(unit)
        for problem in problems[known:]:
            around.take_what_is_left(problem)
        doubted = around.doubted(archive.windows)
        if not doubted:
            return around, problems
        archive.windows = [window for window in archive.windows if window not in doubted]


def spool_objects(archive: Archive, place: Place, seqs: Set[int], spool: BinaryIO, places: Dict[int, Tuple[int, int]]) -> None:
    """Writes the lines of `dump` for some records at a place. The bytes of the object are those of the archive."""
    for line in archive.lines_at(place):
        if line.head["seq"] in seqs:
            try:
                version = check_object(line)
            except Problem as problem:
                problem.slot = archive.name_of(place)
                raise
            text = COMPACT.encode(describe(line, version)).encode("utf-8")[:-1] + b',"object":' + (line.obj or b"") + b"}\n"
            places[line.head["seq"]] = (spool.tell(), len(text))
            spool.write(text)


def report(around: Surroundings, objects: Dict[Key, Applied], problems: List[Problem], explain: bool, notes: List[str]) -> None:
    """O 4.2: what is not certain, to stderr: as text, or as one JSON object. And what was read otherwise than one would think."""
    def listed(state: str) -> List[Dict[str, Any]]:
        return [{"group": key[0], "kind": key[1], "namespace": key[2], "name": key[3], "seq": objects[key].seq}
                for key in sorted(objects, key=sort_key) if objects[key].state == state]

    resources = around.proven()
    facts: Dict[str, Any] = {"time": format_time(around.target.time) if is_time(around.target.time) else None, "seq": around.seq,
             "watermark": format_time(around.watermark), "absent": listed("absent"), "withheld": listed("withheld"),
             "resources": resources, "gaps": around.covering(), "late": around.late,
             "passedOver": [str(problem) for problem in problems]}
    if explain:
        show(COMPACT.encode({**facts, "notes": notes} if notes else facts), sys.stderr)
        return
    for note in notes:
        show(f"note: {note}", sys.stderr)
    show(f"state at {facts['time']}, seq {around.seq}; the archive reaches to {facts['watermark']}", sys.stderr)
    for resource in resources:
        if not resource["proven"]:
            show(f"not proven: {COMPACT.encode(resource)}", sys.stderr)
    for title, entries in (("gap", facts["gaps"]), ("late change", facts["late"]), ("absent", facts["absent"]), ("withheld", facts["withheld"])):
        for entry in entries:
            show(f"{title}: {COMPACT.encode(entry)}", sys.stderr)
    complain(problems)


# --- vectors --------------------------------------------------------------------------------------------------------------

def read_vector(path: str) -> Tuple[Dict[str, str], bytes]:
    """F 14: headers and object of a vector."""
    text = read_file(path, 2 * MAX_SEGMENT, os.path.basename(path)).decode("utf-8", "replace").replace("\r\n", "\n")
    head, separator, body = text.partition("\n\n")
    headers: Dict[str, str] = {}
    for row in head.split("\n"):
        name, colon, value = row.partition(":")
        if not colon or (name in headers and name != "comment"):
            raise NoAnswer(f"{os.path.basename(path)}: bad header {ascii(row[:80])}")
        headers[name] = value.strip()
    try:
        return headers, base64.b64decode("".join(body.split()), validate=True)
    except (binascii.Error, ValueError):
        raise NoAnswer(f"{os.path.basename(path)}: the object is not base64") from None


def home_of(headers: Dict[str, str]) -> str:
    """F 14: the archive, and what its reader has."""
    home = Home(headers["archive"])
    if "root-key" in headers:
        secret = read_bech32(headers["identity"], "AGE-SECRET-KEY-")
        if secret is None:
            raise ValueError("identity")
        home.sealed, home.keys = True, Keys([secret], bytes.fromhex(headers["root-key"]))
    return home


def run_key_vector(headers: Dict[str, str], data: bytes) -> str:
    """F 14, of a file of keys."""
    secret = read_bech32(headers.get("identity", ""), "AGE-SECRET-KEY-")
    if secret is None:
        return "bad header: identity"
    got, root = "ok", ""
    try:
        file = read_key_file(data, headers["archive"], int(headers["n"]), bytes.fromhex(headers["prev"]), FIRST_TIME)
        root = open_key_files([file], [secret]).root.hex()
    except Problem as problem:
        got = problem.code
    except (KeyError, ValueError) as error:
        return f"bad header: {one_line(error)}"
    if got != headers["expect"]:
        return f"expected {headers['expect']}, got {got}"
    return "" if got != "ok" or root == headers.get("root-key") else f"root-key is {root}"


def run_age_vector(headers: Dict[str, str], data: bytes) -> str:
    """F 14, of an age file."""
    secret = read_bech32(headers.get("identity", ""), "AGE-SECRET-KEY-")
    if secret is None:
        return "bad header: identity"
    got, content = "ok", ""
    try:
        content = open_file_of_age(data, [secret]).hex()
    except Problem as problem:
        got = problem.code
    if got != headers["expect"]:
        return f"expected {headers['expect']}, got {got}"
    return "" if got != "ok" or content == headers.get("plaintext", "") else "another plaintext"


def run_vector(directory: str, name: str) -> str:
    """The empty text if the vector gives what it expects, else what is wrong."""
    headers, data = read_vector(os.path.join(directory, name))
    expect, deep = headers.get("expect"), headers.get("deep") == "yes"
    if not expect or headers.get("object") not in ("segment", "identity", "bundle", "checkpoint", "manifest", "keys", "age"):
        return "the vector has no expect or no object"
    if headers["object"] in ("keys", "age"):
        return run_key_vector(headers, data) if headers["object"] == "keys" else run_age_vector(headers, data)
    if headers["object"] in ("bundle", "checkpoint"):
        return run_bundle_vector(headers, data)
    got, segment = "ok", None  # type: str, Optional[Segment]
    try:
        if headers["object"] == "identity":
            read_identity(data)
        elif headers["object"] == "manifest":
            manifest = read_manifest(data, home_of(headers), int(headers["n"]))
            if "follows" in headers:
                other, before = read_vector(os.path.join(directory, os.path.basename(headers["follows"])))
                check_manifest_follows(manifest, read_manifest(before, home_of(other), int(other["n"])))
        else:
            slot = int(headers["slot"])
            segment = read_segment(data, home_of(headers), slot)
            if "follows" in headers:
                other, before = read_vector(os.path.join(directory, os.path.basename(headers["follows"])))
                check_follows(segment.footer, (read_footer(before, len(before), home_of(other), int(other["slot"])), hashlib.sha256(before).digest()))
            elif slot == 1:
                check_follows(segment.footer, None)
            if deep or expect == "ok":
                segment.deep_check()
    except Problem as problem:
        got = problem.code
        if deep and segment is None:
            return f"{problem} without a deep check"
        if got != expect:
            return f"expected {expect}, got {problem}"
    except (KeyError, ValueError) as error:
        return f"bad header: {one_line(error)}"
    if got != expect:
        return f"expected {expect}, got {got}"
    if segment is not None and expect == "ok":
        found = {"records": str(segment.footer.records), "root": segment.footer.root.hex(), "sha256": segment.sha256.hex(),
                 "content": segment.content_hash}
        for member, value in found.items():
            if member in headers and headers[member] != value:
                return f"{member} is {value}, not {headers[member][:80]}"
    return ""


def run_bundle_vector(headers: Dict[str, str], data: bytes) -> str:
    """F 14, of a bundle: it is read whole, and without its siblings, if it has any."""
    expect, deep = headers["expect"], headers.get("deep") == "yes"
    found: Dict[str, str] = {}
    try:
        text, part = parse_object(headers["window"].encode(), "E_MANIFEST", "the window"), int(headers["part"])
        window = read_checkpoint(text) if headers["object"] == "checkpoint" else read_window(text)
        if window.point:
            check_checkpoint(window, [])
        else:
            check_window(window)
        expected = window.parts[part - 1] if part > 0 else None
    except (Problem, KeyError, ValueError, IndexError) as error:
        return f"bad header: {one_line(error)}"
    if expected is None or "archive" not in headers:
        return "bad header: part or archive"
    if "name" in headers:
        window.parts[part - 1] = expected._replace(sha256=headers["name"].rpartition("/")[2])

    @contextlib.contextmanager
    def opened(number: int) -> Iterator[Bundle]:
        yield open_bundle(Blob(io.BytesIO(data), len(data)), home_of(headers), window, number)

    got = "ok"
    try:
        parts = None if len(window.parts) == 1 else [part]
        read = read_whole_checkpoint if window.point else read_whole
        whole = read(window, opened, parts, False, "name" in headers)
        with opened(part) as bundle:
            root = bundle.footer.root
        found = {"records": str(window.parts[part - 1].records), "root": root.hex(), "sha256": hashlib.sha256(data).hexdigest(), "content": whole.contents[0]}
        if deep or expect == "ok":
            read(window, opened, parts, True, False)
    except Problem as problem:
        got = problem.code
        if deep and not found:
            return f"{problem} without a deep check"
        if got != expect:
            return f"expected {expect}, got {problem}"
    if got != expect:
        return f"expected {expect}, got {got}"
    for member, value in found.items():
        if expect == "ok" and headers.get(member, value) != value:
            return f"{member} is {value}, not {headers[member][:80]}"
    return ""


def vectors(directory: str) -> int:
    """F 14. 7 if any vector fails, or there are none."""
    try:
        names = sorted(name for name in os.listdir(directory) if name.endswith(".txt"))
    except OSError as error:
        raise NoAnswer(f"{ascii(directory)} cannot be listed: {one_line(error.strerror)}") from None
    failed = 0
    for name in names:
        try:
            wrong = run_vector(directory, name)
        except NoAnswer as error:
            wrong = str(error)
        failed += bool(wrong)
        if wrong:
            show(f"FAILED {ascii(name)[1:-1]}: {wrong}")
    show(f"{len(names) - failed} of {len(names)} vectors as expected")
    return 7 if failed or not names else 0


def main(arguments: Optional[List[str]] = None) -> int:
    parser = argparse.ArgumentParser(prog="reader.py", description="Reads a VMRewind archive (format 0.1 to 0.3) from a directory.")
    commands = parser.add_subparsers(dest="command", required=True)
    for name, what in (("verify", "check everything; exit 7 if there is a problem"), ("log", "print one JSON line per record"),
                       ("dump", "print the objects as they were"), ("vectors", "run the vectors of the specification")):
        command = commands.add_parser(name, help=what)
        command.add_argument("directory")
        if name != "vectors":
            command.add_argument("--identity", action="append", default=[], metavar="FILE", help="an age identity file, for an encrypted archive")
        if name == "verify":
            command.add_argument("--facts", action="store_true", help="also check ordering.md 4.3 (facts 2, 3 and 5), in memory for every object")
        if name in ("log", "dump"):
            command.add_argument("--keep-going", action="store_true", help="pass over damaged segments, and say so")
            command.add_argument("--log-only", action="store_true", help="read only segments, as if nothing had been rolled up")
        if name == "dump":
            command.add_argument("--at", required=True, help="RFC 3339 time, seq:N or latest")
            command.add_argument("--explain", action="store_true", help="what is uncertain as JSON on stderr")
    given = parser.parse_args(arguments)
    try:
        identities: List[bytes] = []
        for name in getattr(given, "identity", []):
            identities += read_identities(read_file(name, MAX_KEYS, "an identity file").decode("utf-8", "replace"))
        if given.command == "verify":
            code = verify(given.directory, Facts() if given.facts else None, identities)
        elif given.command == "log":
            code = log(given.directory, given.keep_going, given.log_only, identities)
        elif given.command == "dump":
            code = dump(given.directory, given.at, given.explain, given.keep_going, given.log_only, identities)
        else:
            code = vectors(given.directory)
        sys.stdout.flush()
        return code
    except Problem as problem:
        sys.stdout.flush()
        show(str(problem), sys.stderr)
        return 7
    except NoAnswer as error:
        show(f"reader.py: {one_line(error)}", sys.stderr)
        return 1
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return 1
    except (OSError, MemoryError) as error:
        show(f"reader.py: {one_line(error)}", sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
