#!/usr/bin/env python3
"""Reads a VMRewind archive. Written from format.md and ordering.md alone, as their second implementation.

It needs Python 3.9 or newer and `zstandard` (requirements.txt), and nothing of the program that wrote the archive.

    reader.py verify  ARCHIVE_DIR                  check everything that can be checked; exit 7 if there is a problem
    reader.py log     ARCHIVE_DIR                  one JSON line per record, in the order of the archive
    reader.py dump    ARCHIVE_DIR --at TIME        the objects as they were (RFC 3339, seq:N or latest)
    reader.py vectors DIR                          run the vectors of the specification

Every function names the section it implements: "F" is format.md, "O" is ordering.md. Whatever it is given, it takes a bounded
amount of memory per segment, does not follow anything that is not a regular file, and ends with one line per problem.
Does not: write to an archive, read buckets, decide what to restore.
"""
from __future__ import annotations

import argparse
import base64
import binascii
import hashlib
import json
import os
import re
import stat
import struct
import sys
import tempfile
from datetime import datetime, timedelta
from typing import Any, BinaryIO, Dict, Iterator, List, NamedTuple, NoReturn, Optional, Set, Tuple

import zstandard

KIB, MIB = 1 << 10, 1 << 20
MAX_IDENTITY, MAX_SEGMENT, MAX_META = 64 * KIB, 128 * MIB, 64 * KIB  # F 11
MAX_DATA, MAX_FRAME, MAX_MEMBER, MAX_INDEX, MAX_PUBLIC = 64 * MIB, 32 * MIB, 16 * MIB, 16 * MIB, 16 * MIB
MAX_HEAD, MAX_TEXT, MAX_OBJECT, MAX_DEPTH = 8 * KIB, KIB, 8 * MIB, 128
MAX_WINDOW, MAX_NUMBER, MAX_ERA = 8 * MIB, (1 << 63) - 1, (1 << 32) - 1
FIRST_TIME, LAST_TIME = 946684800000000, 7258118400000000  # F introduction
FOOTER_SIZE, PUBLIC_HEAD = 384, 48
FENCE, COMPLETE, HAS_GAP, HAS_LO, HAS_FROM = 4, 8, 16, 32, 64  # F 4, flags
CUT = b',"obj":'
CAUSES = {"expired", "denied", "removed", "stalled", "storage-rollback", "unrecordable", "overflow", "clock", "correction", "unseen", "damage"}
STATES = {"live", "late", "relisting", "stalled", "denied", "removed"}
# F 6, per op: whether it has "obj", and whether it has "rv" ("maybe": both may be missing, never both there).
OPS = {"A": (True, False), "M": (True, False), "D": ("maybe", "maybe"), "S": (True, False), "X": (False, False),
       "N": (False, False), "G": (False, False), "H": (False, False), "W": (False, True)}
UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\Z")
DECIMAL = re.compile(r"(?:0|[1-9][0-9]{0,19})\Z")
RFC3339 = re.compile(r"(\d{4})-(\d\d)-(\d\d)[Tt ](\d\d):(\d\d):(\d\d)(?:\.(\d{1,9}))?(?:[Zz]|([+-])([01]\d|2[0-3]):([0-5]\d))\Z", re.ASCII)
LEFTOVER = re.compile(r"#[0-9]+\Z")
NIL = "00000000-0000-0000-0000-000000000000"
ZERO32, ZERO64 = bytes(32), bytes(64)


class Problem(Exception):
    """One violation of the specification, with its code (F 13) and the offset in the object, where there is one."""

    def __init__(self, code: str, sentence: str, offset: Optional[int] = None, slot: Optional[int] = None):
        super().__init__(sentence)
        self.code, self.sentence, self.offset, self.slot = code, sentence, offset, slot
        self.after: Optional[int] = None  # O 4.2, Damage: the last instant up to which it hides nothing; None if that is not known

    def touches(self, time: int) -> bool:
        return self.after is None or self.after < time

    def __str__(self) -> str:
        where = "-" if self.slot is None else str(self.slot)
        offset = "-" if self.offset is None else str(self.offset)
        return f"{self.code} {where} {offset}: {self.sentence}"


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
    for member, known in (("hash", "sha256"), ("encryption", "none")):
        if identity[member] != known:
            raise Problem("E_FEATURE", f"{member} {ascii(identity[member][:64])} is not known")
    return identity


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


def read_footer(data: bytes, size: int, archive: Optional[str], slot: int) -> Footer:
    """F 12, steps 1 to 5. `data` is the end of an object of `size` bytes; without `archive` any archive will do."""
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
    demand((f.major, f.minor) == (0, 1), "E_VERSION", 16, f"format {f.major}.{f.minor} is not known, only 0.1")
    demand(f.features == 0, "E_FEATURE", 32, "unknown read-feature bits")
    demand(f.flags & 3 == 0, "E_FEATURE", 28, "the segment is encrypted or signed")
    demand(f.encryption_length == 0, "E_FEATURE", 152, "the segment has an encryption header")
    demand(f.signer == 0, "E_FEATURE", 156, "the segment has a signer")
    demand(f.flags & ~0x7F == 0, "E_RESERVED", 28, "reserved flags are set")
    demand(f.level == 0, "E_RESERVED", 22, "level is not 0")
    demand(f.signature == ZERO64, "E_RESERVED", 320, "the signature is not zero")
    field = "E_FOOTER_FIELD"
    demand(f.kind == 1, field, 20, f"kind {f.kind} is not a log segment")
    demand(f.shard == 0, field, 24, "shard is not 0")
    demand(f.first_slot == f.last_slot and 0 < f.first_slot <= MAX_NUMBER, field, 64, "first and last slot are not one slot from 1")
    demand(0 < f.epoch <= MAX_NUMBER, field, 56, "epoch is out of range")
    demand(0 < f.first_seq <= MAX_NUMBER and f.last_seq <= MAX_NUMBER, field, 80, "seqs are out of range")
    demand(f.records == f.last_seq - f.first_seq + 1, field, 96, "number of records does not match the seqs")
    demand(is_time(f.first_time) and is_time(f.last_time), field, 112, "times are out of range")
    demand(f.first_time <= f.last_time, field, 112, "first time is after last time")
    demand(f.records > 0 or f.first_time == f.last_time, field, 112, "no records, but two times")
    demand(1 <= f.members <= f.records + 1 and (f.members > 1) == (f.records > 0), field, 104, "number of members cannot be")
    demand(bool(f.flags & FENCE) == (f.records == 0), field, 28, "a fence has no records, and any other segment has some")
    demand(not f.flags & FENCE or bool(f.flags & COMPLETE), field, 28, "a fence without a complete resume map")
    demand(0 < f.index_offset < base and f.index_length > 0, field, 128, "the index frame is not in the object")
    demand(f.body_length == f.index_offset + f.index_length <= base, field, 144, "the length of the body cannot be")
    demand(archive is None or uuid_text(f.archive) == archive, "E_ARCHIVE", 40, f"it belongs to archive {uuid_text(f.archive)}")
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


INDEX_ENTRY = struct.Struct("<QIIIIQQqq32sQQ")


def read_index(data: memoryview, footer: Footer) -> List[Frame]:
    """F 5 and F 12, step 8."""
    at = footer.index_offset

    def demand(good: bool, code: str, sentence: str) -> None:
        if not good:
            raise Problem(code, sentence, at)

    stored = data[at:footer.body_length]
    demand(hashlib.sha256(stored).digest() == footer.index_hash, "E_INDEX_HASH", "the index frame does not match the footer")
    demand(footer.index_content <= MAX_INDEX, "E_LIMIT", "the index is larger than 16 MiB")
    content = decode_frame(stored, footer.index_content, at)
    name, begin, end, following = read_member(content, 0, at)
    demand(name == b".index", "E_TAR", "the index frame holds another member than .index")
    demand(content[following:] == bytes(1024), "E_TAR", "the index frame does not end in two zero blocks")
    raw = content[begin:end]
    demand(len(raw) >= 49 and raw[:8] == b"KVBIDX01", "E_INDEX", "the index is cut or has another magic")
    members, records, probes, bits, filter_size, count = struct.unpack_from("<QQBQQQ", raw, 8)
    demand(probes == bits == filter_size == 0, "E_INDEX", "the index of a log segment has a filter")
    demand(0 < count and count * INDEX_ENTRY.size == len(raw) - 49, "E_INDEX", "the number of frames does not fit the index")
    frames, covered = [], 0
    for entry in INDEX_ENTRY.iter_unpack(raw[49:]):
        frame = Frame(*entry[:10])
        demand(entry[10] == entry[11] == 0, "E_INDEX", "the index of a log segment has keys")
        demand(frame.offset == covered and frame.length > 0, "E_INDEX", "the frames of the index have holes or overlap")
        covered += frame.length
        frames.append(frame)
    demand(covered == at, "E_INDEX", "the frames of the index do not end where the index begins")
    demand(members == footer.members == sum(f.members for f in frames), "E_COUNT", "numbers of members differ")
    demand(records == footer.records == sum(f.records for f in frames), "E_COUNT", "numbers of records differ")
    demand(all(f.content <= MAX_FRAME for f in frames), "E_LIMIT", "a data frame has more than 32 MiB")
    demand(sum(f.content for f in frames) <= MAX_DATA, "E_LIMIT", "the data frames have more than 64 MiB")
    return frames


class ResumeMap(NamedTuple):
    """F 8. Entries by (group, resource, scope)."""
    complete: bool
    entries: Dict[Tuple[str, str, str], Dict[str, Any]]


def read_public(data: memoryview, footer: Footer) -> ResumeMap:
    """F 8 and F 12, step 7."""
    at = footer.body_length
    frame = data[at:len(data) - FOOTER_SIZE]

    def demand(good: bool, sentence: str, code: str = "E_PUBLIC") -> None:
        if not good:
            raise Problem(code, sentence, at)

    demand(len(frame) >= PUBLIC_HEAD and struct.unpack_from("<I", frame)[0] == 0x184D2A5C, "there is no public frame after the body")
    demand(struct.unpack_from("<I", frame, 4)[0] == len(frame) - 8, "the public frame does not end where the footer begins")
    demand(bytes(frame[8:16]) == b"KVBPUB01", "the public frame has another magic")
    demand(len(frame) - PUBLIC_HEAD <= MAX_PUBLIC, "the resume map is larger than 16 MiB", "E_LIMIT")
    text = bytes(frame[PUBLIC_HEAD:])
    demand(hashlib.sha256(text).digest() == frame[16:48], "the resume map does not match its hash")
    public = parse_object(text, "E_PUBLIC", "the resume map")
    complete, listed = public.get("complete"), public.get("entries")  # type: Any, Any
    demand(isinstance(complete, bool) and isinstance(listed, list), "the resume map lacks complete or entries")
    demand(complete or footer.first_slot % 64 != 0, "the resume map of a slot that is a multiple of 64 is not complete")
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
        demand(before is None or before < order, "entries of the resume map are not sorted, or one occurs twice")
        before, entries[key] = order, entry
    return ResumeMap(complete, entries)


def check_meta(text: bytes, f: Footer, offset: int) -> None:
    """F 9."""
    if len(text) > MAX_META:
        raise Problem("E_LIMIT", "meta.json is larger than 64 KiB", offset)
    if text.find(b"\n") != len(text) - 1:
        raise Problem("E_META", "meta.json is not one line", offset)
    meta = parse_object(text[:-1], "E_META", "meta.json")
    expected = {
        "format": "0.1", "kind": "log", "archive": uuid_text(f.archive), "shard": 0, "segment": f.first_slot, "epoch": f.epoch,
        "nonce": f.nonce.hex(), "fence": bool(f.flags & FENCE), "firstSeq": f.first_seq, "lastSeq": f.last_seq, "records": f.records,
        "firstTime": f.first_time, "lastTime": f.last_time, "prev": f.previous.hex(), "root": f.root.hex(),
    }
    for member, value in expected.items():
        if type(meta.get(member)) is not type(value) or meta[member] != value:
            raise Problem("E_META", f"{member} differs from the footer", offset)
    if not isinstance(meta.get("software"), str):
        raise Problem("E_META", "meta.json has no text software", offset)


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
    if "k" in head:
        demand(bool(k[2]) and bool(k[4]), "a key lacks name or kind")
        demand(sum(utf8_size(part) for part in k) <= MAX_TEXT, "a key is larger than 1 KiB", "E_LIMIT")
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


def check_lines(parts: List[Part], members: List[int], frames: List[Frame], footer: Footer, complete: bool) -> None:
    """F 12, steps 11 and 12."""
    root, flags = EventRoot(), footer.flags & FENCE | (COMPLETE if complete else 0)
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
            flags |= (HAS_GAP if line.head["op"] == "G" else 0) | (HAS_LO if "lo" in line.head else 0)
            flags |= HAS_FROM if "from" in line.head else 0
            root.add(leaf_hash(line))
    for frame, counts in zip(frames, found):
        if [frame.members, frame.records, frame.first_seq, frame.last_seq, frame.first_time, frame.last_time] != counts:
            raise Problem("E_COUNT", "a frame differs from what the index says of its members, records, seqs or times", frame.offset)
    if first is not None and (first, before) != (footer.first_time, footer.last_time):
        raise Problem("E_TIME", "first or last time of the footer is not that of the lines")
    if flags != footer.flags:
        raise Problem("E_FLAGS", f"flags are {footer.flags:#x}, the content says {flags:#x}")
    if root.root() != footer.root:
        raise Problem("E_ROOT", "the event root does not match the lines")


def read_segment(data: bytes, archive: Optional[str], slot: int) -> Segment:
    """F 12, steps 1 to 12, in their order; Problem at the first failure."""
    footer = read_footer(data, len(data), archive, slot)
    view = memoryview(data)
    if hashlib.sha256(view[:-FOOTER_SIZE]).digest() != footer.body_hash:
        raise Problem("E_BODY_HASH", "the bytes before the footer are not those that were written", 0)
    public = read_public(view, footer)
    frames = read_index(view, footer)
    parts, members, content_hash = read_parts(view, footer, frames)
    check_lines(parts, members, frames, footer, public.complete)
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


def salvage(data: bytes, slot: int) -> Optional[str]:
    """F 12, step 6: what the index still proves of a damaged segment."""
    try:
        footer = read_footer(data, len(data), None, slot)
        view = memoryview(data)
        frames = read_index(view, footer)
    except Problem:
        return None
    good, bad = [], []  # type: List[str], List[str]
    for frame in frames:
        whole = hashlib.sha256(view[frame.offset:frame.offset + frame.length]).digest() == frame.sha256
        if frame.records:
            (good if whole else bad).append(f"{frame.first_seq} to {frame.last_seq}")
    return f"frames intact for seqs {', '.join(good[:20]) or 'none'}; damaged for {', '.join(bad[:20]) or 'none'}"


# --- an archive in a directory ----------------------------------------------------------------------------------------

def read_file(path: str, limit: int, what: str) -> bytes:
    """The bytes of a regular file of at most `limit` bytes. Never waits: a pipe or a device in its place is refused."""
    try:
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0))
        with os.fdopen(descriptor, "rb") as file:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                raise NoAnswer(f"{what} is not a regular file")
            if status.st_size > limit:
                raise Problem("E_TOO_LARGE", f"{what} has {status.st_size} bytes, more than {limit}")
            data = file.read(limit + 1)
    except OSError as error:
        raise NoAnswer(f"{what} cannot be read: {one_line(error.strerror)}") from None
    if len(data) > limit:
        raise Problem("E_TOO_LARGE", f"{what} has more than {limit} bytes")
    return data


class Archive:
    """F 1: the names below one directory, as they are when it is opened."""

    def __init__(self, path: str):
        self.path, self.notes, self.problems, self.uuid = path, [], [], None  # type: str, List[str], List[Problem], Optional[str]
        if not os.path.isdir(path):
            raise NoAnswer(f"{ascii(path)} is not a directory")
        self.slots = self._list()
        for directory, _, files in os.walk(os.path.join(path, "man")):
            if any(LEFTOVER.search(name) is None for name in files):
                raise Problem("E_VERSION", f"objects below man/ ({ascii(os.path.relpath(directory, path))}): history may have moved there")

    def _list(self) -> List[int]:
        slots: List[int] = []
        try:
            for name in os.listdir(self.path):
                if name not in ("archive.json", "log", "probe", "man") and LEFTOVER.search(name) is None:
                    self.notes.append(f"{ascii(name)} is not known to format 0.1 and was passed over")
            log = os.path.join(self.path, "log")
            for name in os.listdir(log) if os.path.isdir(log) else []:
                if name != "0000" and LEFTOVER.search(name) is None:
                    self.notes.append(f"log/{ascii(name)} is not known to format 0.1 and was passed over")
            shard = os.path.join(log, "0000")
            for name in os.listdir(shard) if os.path.isdir(shard) else []:
                if re.match(r"[0-9a-f]{16}\Z", name) and 0 < int(name, 16) <= MAX_NUMBER:
                    slots.append(int(name, 16))
                elif LEFTOVER.search(name) is None:
                    self.problems.append(Problem("E_NAME", f"{ascii(name)} in log/0000 is not the name of a slot"))
        except OSError as error:
            raise NoAnswer(f"the archive cannot be listed: {one_line(error.strerror)}") from None
        return sorted(slots)

    def identity(self) -> Dict[str, Any]:
        path = os.path.join(self.path, "archive.json")
        if not os.path.lexists(path):
            raise Problem("E_IDENTITY", "there is no archive.json")
        identity = read_identity(read_file(path, MAX_IDENTITY, "archive.json"))
        self.uuid = identity["archive"]
        return identity

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

    def segments(self, problems: Optional[List[Problem]] = None, deep: bool = False) -> Iterator[Segment]:
        """O 3, O 4.2: the segments in order. At the first problem it stops; given a list, it puts the problem there, passes over
        the segment, and does not compare the next one with it."""
        previous: Optional[Tuple[Footer, bytes]] = None
        expected, broken, watermark = 1, False, None  # type: int, bool, Optional[int]

        def found(problem: Problem, own: Optional[Footer] = None) -> None:
            problem.after = watermark if own is None else own.first_time - (0 if own.flags & FENCE else 1)
            if problems is None:
                raise problem
            problems.append(problem)

        for problem in self.problems if deep else ():  # files that are no segments hide none
            found(problem)
        for slot in self.slots:
            if slot != expected:
                found(Problem("E_MISSING", f"slots {expected} to {slot - 1} are not there, but {slot} is", None, expected))
                broken = True
            expected, data, own = slot + 1, b"", None
            try:
                data = self.load(slot)
                own = readable_footer(data, self.uuid, slot)
                segment = read_segment(data, self.uuid, slot)
                if not broken:
                    check_follows(segment.footer, previous)
            except (Problem, NoAnswer) as error:
                problem = error if isinstance(error, Problem) else Problem("E_IO", str(error))
                problem.slot, broken = slot, True
                intact = salvage(data, slot) if problem.code == "E_BODY_HASH" else None
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
                return f"slot {slot} says that {resource} was complete up to a later instant" if line.head["t"] <= proven else None
        return None


def verify(path: str, facts: Optional[Facts] = None) -> int:
    """Everything of F 12 with the deep check, O 3 for all neighbours, that gaps are closed by what names them, and, if asked, O 4.3.
    7 if there is a problem."""
    problems: List[Problem] = []
    printed, usable = 0, True
    archive: Optional[Archive] = None
    try:
        archive = Archive(path)
        identity = archive.identity()
        show(f"archive {identity['archive']} of cluster {ascii(identity['cluster'])[1:-1]}, created {identity['created']}")
    except (Problem, NoAnswer) as error:
        if archive is None and isinstance(error, NoAnswer):
            raise
        problems.append(error if isinstance(error, Problem) else Problem("E_IO", str(error)))
        usable = problems[0].code not in ("E_VERSION", "E_FEATURE")  # what we do not know how to read, we do not judge
    ranges: List[List[int]] = []
    count = epochs = known = 0
    openings: Set[int] = set()
    if archive is not None and usable:
        for segment in archive.segments(problems, deep=True):
            f = segment.footer
            count, epochs = count + 1, epochs + bool(f.flags & FENCE)
            if f.records and ranges and ranges[-1][1] + 1 == f.first_seq:
                ranges[-1][1], ranges[-1][3] = f.last_seq, f.last_time
            elif f.records:
                ranges.append([f.first_seq, f.last_seq, f.first_time, f.last_time])
            if facts and len(problems) > known:
                facts.hole()
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
    for problem in problems[printed:]:
        show(str(problem))
    for note in archive.notes if archive else []:
        show(f"note: {note}")
    if archive is not None and usable:
        show(f"readable: {count} of {len(archive.slots)} segments found, {epochs} epochs")
        for number, (first, last, begin, end) in enumerate(ranges):
            if first > (ranges[number - 1][1] + 1 if number else 1):
                show(f"not readable: seqs {ranges[number - 1][1] + 1 if number else 1} to {first - 1}")
            show(f"readable: seqs {first} to {last}, {format_time(begin)} to {format_time(end)}")
    show(f"{len(problems)} problem(s)")
    return 7 if problems else 0


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


def log(path: str, keep_going: bool) -> int:
    archive = Archive(path)
    archive.identity()
    problems: List[Problem] = []
    for segment in archive.segments(problems if keep_going else None):
        for line in segment.lines():
            version = None
            try:
                version = resource_version(line)
            except Problem as problem:
                problem.slot = segment.footer.first_slot
                problems.append(problem)
            show(COMPACT.encode(describe(line, version)))
    return complain(problems)


# --- state at T -----------------------------------------------------------------------------------------------------------

class Target(NamedTuple):
    """O 4.1: S, or None if it follows from T."""
    time: int
    seq: Optional[int]


class Applied(NamedTuple):
    """What is known of one object: `state` is present, withheld or absent, set by record `seq` in `slot`."""
    state: str
    seq: int
    slot: int
    uid: str


EFFECT = {"A": "present", "M": "present", "S": "present", "W": "withheld", "N": "absent"}


class Surroundings:
    """O 4.1, O 4.2: all that one pass over the whole archive tells about T: S, back-dated records, gaps, proofs, late changes."""

    def __init__(self, target: Target):
        self.target, self.seq, self.first = target, target.seq or 0, None  # type: Target, int, Optional[int]
        self.back_dated: List[Tuple[int, int, Key, Optional[Applied]]] = []
        self.gaps: Dict[int, Dict[str, Any]] = {}
        self.late: List[Dict[str, Any]] = []
        self.proofs: Dict[Tuple[str, str, str], Dict[str, Any]] = {}
        self.watermark = 0

    def take(self, segment: Segment) -> None:
        footer, time = segment.footer, self.target.time
        self.watermark = footer.last_time
        for key, entry in segment.public.entries.items():
            known = self.proofs.setdefault(key, {"first": None, "last": None})
            known["state"], known["captured"] = entry["state"], True
            if "provenAt" in entry:
                known["first"] = entry["provenAt"] if known["first"] is None else known["first"]
                known["last"] = entry["provenAt"]
        if segment.public.complete:
            for key in self.proofs.keys() - segment.public.entries.keys():
                self.proofs[key]["captured"] = False
        if footer.records and self.target.seq is None and footer.last_time <= time:
            self.seq = footer.last_seq
        searched = self.target.seq is None and footer.records and footer.first_time <= time < footer.last_time
        if not searched and not footer.flags & (HAS_GAP | HAS_LO | HAS_FROM):
            return
        for line in segment.lines():
            head = line.head
            if self.target.seq is None and head["t"] <= time:
                self.seq = head["seq"]
            if not line.known:
                continue
            if head["op"] == "G":
                gap = dict(head["gap"])
                opened = gap.pop("opened", head["seq"])
                self.gaps[opened] = {**self.gaps.get(opened, {}), **gap}
            elif "lo" in head and head["lo"] < time < head["t"] and "k" in head:
                shown = describe(line._replace(obj=None))
                self.late.append({member: shown[member] for member in ("seq", "op", "group", "kind", "namespace", "name", "lo", "t")})
            if "from" in head:
                self.back_dated.append((head["from"], head["seq"], line.object_key, effect_of(line, footer.first_slot)))

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
        for key in sorted(self.proofs, key=sort_key):
            known = self.proofs[key]
            first, last = known["first"], known["last"]
            proven = first is not None and first <= time <= last and not any(gap[:2] == key[:2] and gap[2] in ("", key[2]) for gap in gaps)
            resources.append({
                "group": key[0], "resource": key[1], "scope": key[2] or None, "captured": known["captured"], "state": known["state"],
                "provenFrom": None if first is None else format_time(first), "provenTo": None if last is None else format_time(last),
                "proven": proven})
        return resources


def sort_key(key: Tuple[str, ...]) -> Tuple[bytes, ...]:
    return tuple(part.encode("utf-8") for part in key)


def effect_of(line: Line, slot: int) -> Optional[Applied]:
    """O 4.1, the table: the new state, or None for a record that can only end one."""
    state = EFFECT.get(line.head["op"])
    return None if state is None else Applied(state, line.head["seq"], slot, line.head["k"][5])


def state_at(archive: Archive, surroundings: Surroundings, problems: Optional[List[Problem]]) -> Dict[Key, Applied]:
    """O 4.1: records in the order of (counts from, seq). Back-dated ones are merged in where they count."""
    last, objects = surroundings.seq, {}  # type: int, Dict[Key, Applied]
    waiting = sorted((entry for entry in surroundings.back_dated if entry[0] <= last), key=lambda entry: entry[:2], reverse=True)

    def apply_waiting(before: int) -> None:
        while waiting and waiting[-1][0] < before:
            _, _, key, applied = waiting.pop()
            if applied is not None:
                objects[key] = applied

    for segment in archive.segments(problems):
        if segment.footer.first_seq > last:
            break
        for line in segment.lines():
            head = line.head
            if head["seq"] > last:
                break
            apply_waiting(head["seq"])
            if not line.known or "k" not in head or "from" in head:
                continue
            key, applied = line.object_key, effect_of(line, segment.footer.first_slot)
            if applied is not None:
                objects[key] = applied
            elif key in objects and objects[key].uid == head["k"][5]:
                del objects[key]
    apply_waiting(last + 1)
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
        for slot in reversed(archive.slots):
            try:
                footer = archive.footer(slot)
            except Problem:
                if keep_going:
                    continue
                raise
            return Target(footer.last_time, footer.last_seq)
        raise NoAnswer("no segment can be read")
    for slot in archive.slots:
        try:
            footer = archive.footer(slot)
        except Problem:
            continue  # the others are tried, and if none has it, that is said
        if footer.first_seq <= wanted <= footer.last_seq:
            for line in archive.segment(slot).lines():
                if line.head["seq"] == wanted:
                    return Target(line.head["t"], wanted)
    raise NoAnswer(f"the archive has no record {wanted}, or it is damaged")


def dump(path: str, at: str, explain: bool, keep_going: bool) -> int:
    """O 4: three passes, none of which holds more than one segment: what surrounds T, the state at S, the objects themselves."""
    archive = Archive(path)
    archive.identity()
    target = find_target(archive, at, keep_going)
    problems: List[Problem] = []
    around = Surroundings(target)
    for segment in archive.segments(problems):
        around.take(segment)
    hiding = [problem for problem in problems if problem.touches(target.time)]
    if hiding and not keep_going:
        raise hiding[0]
    if around.seq == 0:
        raise NoAnswer("there is no answer: the archive has no record at or before that time")
    objects = state_at(archive, around, [])
    needed: Dict[int, Set[int]] = {}
    for applied in objects.values():
        if applied.state == "present":
            needed.setdefault(applied.slot, set()).add(applied.seq)
    places: Dict[int, Tuple[int, int]] = {}
    with tempfile.TemporaryFile() as spool:
        for slot in sorted(needed):
            spool_objects(archive, slot, needed[slot], spool, places)
        for key in sorted(objects, key=sort_key):
            if objects[key].state == "present":
                position, size = places[objects[key].seq]
                spool.seek(position)
                sys.stdout.buffer.write(spool.read(size))
    report(around, objects, problems, explain)
    return 7 if hiding else 0


def spool_objects(archive: Archive, slot: int, seqs: Set[int], spool: BinaryIO, places: Dict[int, Tuple[int, int]]) -> None:
    """Writes the lines of `dump` for some records of a slot. The bytes of the object are those of the archive."""
    for line in archive.segment(slot).lines():
        if line.head["seq"] in seqs:
            try:
                version = check_object(line)
            except Problem as problem:
                problem.slot = slot
                raise
            text = COMPACT.encode(describe(line, version)).encode("utf-8")[:-1] + b',"object":' + (line.obj or b"") + b"}\n"
            places[line.head["seq"]] = (spool.tell(), len(text))
            spool.write(text)


def report(around: Surroundings, objects: Dict[Key, Applied], problems: List[Problem], explain: bool) -> None:
    """O 4.2: what is not certain, to stderr: as text, or as one JSON object."""
    def listed(state: str) -> List[Dict[str, Any]]:
        return [{"group": key[0], "kind": key[1], "namespace": key[2], "name": key[3], "seq": objects[key].seq}
                for key in sorted(objects, key=sort_key) if objects[key].state == state]

    resources = around.proven()
    facts: Dict[str, Any] = {"time": format_time(around.target.time) if is_time(around.target.time) else None, "seq": around.seq,
             "watermark": format_time(around.watermark), "absent": listed("absent"), "withheld": listed("withheld"),
             "resources": resources, "gaps": around.covering(), "late": around.late,
             "passedOver": [str(problem) for problem in problems]}
    if explain:
        show(COMPACT.encode(facts), sys.stderr)
        return
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


def run_vector(directory: str, name: str) -> str:
    """The empty text if the vector gives what it expects, else what is wrong."""
    headers, data = read_vector(os.path.join(directory, name))
    expect, deep = headers.get("expect"), headers.get("deep") == "yes"
    if not expect or headers.get("object") not in ("segment", "identity"):
        return "the vector has no expect or no object"
    got, segment = "ok", None  # type: str, Optional[Segment]
    try:
        if headers["object"] == "identity":
            read_identity(data)
        else:
            slot = int(headers["slot"])
            segment = read_segment(data, headers["archive"], slot)
            if "follows" in headers:
                other, before = read_vector(os.path.join(directory, os.path.basename(headers["follows"])))
                check_follows(segment.footer, (read_footer(before, len(before), None, int(other["slot"])), hashlib.sha256(before).digest()))
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
    parser = argparse.ArgumentParser(prog="reader.py", description="Reads a VMRewind archive (format 0.1) from a directory.")
    commands = parser.add_subparsers(dest="command", required=True)
    for name, what in (("verify", "check everything; exit 7 if there is a problem"), ("log", "print one JSON line per record"),
                       ("dump", "print the objects as they were"), ("vectors", "run the vectors of the specification")):
        command = commands.add_parser(name, help=what)
        command.add_argument("directory")
        if name == "verify":
            command.add_argument("--facts", action="store_true", help="also check ordering.md 4.3 (facts 2, 3 and 5), in memory for every object")
        if name in ("log", "dump"):
            command.add_argument("--keep-going", action="store_true", help="pass over damaged segments, and say so")
        if name == "dump":
            command.add_argument("--at", required=True, help="RFC 3339 time, seq:N or latest")
            command.add_argument("--explain", action="store_true", help="what is uncertain as JSON on stderr")
    given = parser.parse_args(arguments)
    try:
        if given.command == "verify":
            code = verify(given.directory, Facts() if given.facts else None)
        elif given.command == "log":
            code = log(given.directory, given.keep_going)
        elif given.command == "dump":
            code = dump(given.directory, given.at, given.explain, given.keep_going)
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
