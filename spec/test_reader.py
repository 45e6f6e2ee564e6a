"""Tests of reader.py, with a small writer of their own. Run: `.venv/bin/python -m unittest discover -s spec`.

Does not: use anything of the program; the vectors are run by `reader.py vectors spec/vectors`.
"""
from __future__ import annotations

import base64
import contextlib
import hashlib
import hmac
import io
import json
import os
import random
import struct
import subprocess
import sys
import tempfile
import unittest
import unittest.mock
from typing import Any, Callable, Dict, List, Optional, Tuple

import zstandard

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import reader  # noqa: E402

ARCHIVE = "0b1c2d3e-4f50-4617-8899-aabbccddeeff"
START = 1_700_000_000_000_000
IDENTITY = {"format": {"major": 0, "minor": 1}, "features": {"read": [], "write": [], "maintain": []}, "archive": ARCHIVE,
            "cluster": "c0ffee", "created": "2026-01-02T03:04:05Z", "hash": "sha256", "encryption": "none", "software": "test"}


def sha(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


SEALED = (json.dumps({**IDENTITY, "encryption": "age"}, separators=(",", ":")) + "\n").encode()


def compact(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def obj(name: str, rv: str = "1", uid: str = "u1", extra: str = "") -> str:
    return ('{"apiVersion":"kubevirt.io/v1","kind":"VirtualMachine","metadata":{"name":"%s","namespace":"ns","resourceVersion":"%s","uid":"%s"}%s}'
            % (name, rv, uid, extra))


def rec(seq: int, op: str, name: str = "vm", uid: str = "u1", body: Optional[str] = None, t: Optional[int] = None, **more: Any) -> str:
    head: Dict[str, Any] = {"seq": seq, "t": START + seq * 1000 if t is None else t, "op": op}
    if op not in "GH":
        head["k"] = ["ns/" + name, "ns", name, "kubevirt.io", "VirtualMachine", uid]
    head.update({key.rstrip("_"): value for key, value in more.items()})
    return compact(head) if body is None else compact(head)[:-1] + ',"obj":' + body + "}"


def tree(leaves: List[bytes]) -> bytes:
    """RFC 6962 by its definition, not by the algorithm of the reader."""
    if not leaves:
        return sha(b"")
    if len(leaves) == 1:
        return leaves[0]
    k = 1
    while k * 2 < len(leaves):
        k *= 2
    return sha(b"\1" + tree(leaves[:k]) + tree(leaves[k:]))


def leaf(line: bytes) -> bytes:
    head, cut, body = line.partition(b',"obj":')
    return sha(b"\0" + head + (b"\0" + sha(body[:-1]) if cut else b""))


def tar(name: str, content: bytes) -> bytes:
    header = struct.pack("100s8s8s8s12s12s8sc100s8s247s", name.encode(), b"0000644\0", b"0000000\0", b"0000000\0", b"%011o\0" % len(content),
                         b"0" * 11, b" " * 8, b"0", b"", b"ustar\x0000", b"")
    header = header[:148] + b"%07o\0" % sum(header) + header[156:]
    return header + content + bytes(-len(content) % 512)


def zstd(content: bytes) -> bytes:
    return zstandard.ZstdCompressor(write_checksum=True, write_content_size=True).compress(content)


class Sealer:
    """Writes age files and keyed hashes, with the primitives of `cryptography` and nothing of the reader."""

    def __init__(self, root: bytes = b"R" * 32, recipients: Tuple[int, ...] = (1, 2)):
        self.root, self.recipients, self.count = root, [bytes([n]) * 32 for n in recipients], 0

    def keyed(self, purpose: int, *parts: bytes) -> bytes:
        return hmac.new(self.root, bytes([purpose]) + b"".join(parts), hashlib.sha256).digest()

    def age(self, content: bytes) -> Tuple[bytes, int]:
        """An age file, and the length of its header."""
        from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
        from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
        from cryptography.hazmat.primitives.hashes import SHA256
        from cryptography.hazmat.primitives.kdf.hkdf import HKDF

        def derive(secret: bytes, salt: bytes, info: bytes) -> bytes:
            return HKDF(SHA256(), 32, salt, info).derive(secret)

        self.count += 1
        file_key, nonce = sha(b"file %d" % self.count)[:16], sha(b"nonce %d" % self.count)[:16]
        header = b"age-encryption.org/v1\n"
        for number, secret in enumerate(self.recipients):
            public = X25519PrivateKey.from_private_bytes(secret).public_key()
            own = X25519PrivateKey.from_private_bytes(sha(b"%d %d" % (self.count, number)))
            share = own.public_key().public_bytes_raw()
            key = derive(own.exchange(public), share + public.public_bytes_raw(), b"age-encryption.org/v1/X25519")
            body = ChaCha20Poly1305(key).encrypt(bytes(12), file_key, None)
            header += b"-> X25519 " + base64.b64encode(share).rstrip(b"=") + b"\n" + base64.b64encode(body).rstrip(b"=") + b"\n"
        header += b"---"
        header += b" " + base64.b64encode(hmac.new(derive(file_key, b"", b"header"), header, hashlib.sha256).digest()).rstrip(b"=") + b"\n"
        cipher, chunks = ChaCha20Poly1305(derive(file_key, nonce, b"payload")), [content[at:at + 65536] for at in range(0, len(content), 65536)] or [b""]
        sealed = [cipher.encrypt(number.to_bytes(11, "big") + bytes([number + 1 == len(chunks)]), chunk, None) for number, chunk in enumerate(chunks)]
        return header + nonce + b"".join(sealed), len(header)

    def keys(self, number: int = 1, previous: bytes = b"", root: Optional[bytes] = None, **changes: Any) -> bytes:
        from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
        public = sorted(X25519PrivateKey.from_private_bytes(secret).public_key().public_bytes_raw() for secret in self.recipients)
        members = {"format": {"major": 0, "minor": 3}, "archive": ARCHIVE, "n": number, "prev": (previous or sha(SEALED)).hex(),
                   "recipients": [bech32("age", key) for key in public], "validFrom": "2026-01-02T03:04:05Z", "software": "test",
                   "rootKey": base64.b64encode(self.age(root or self.root)[0]).decode(), **changes}
        covered = compact(members)[:-1].encode()
        return covered + b',"mac":"' + self.keyed(3, covered).hex().encode() + b'"}\n'


def bech32(prefix: str, key: bytes) -> str:
    """Of 32 bytes, as BIP 173 says."""
    bits = "".join(f"{byte:08b}" for byte in key) + "0000"
    values = [int(bits[at:at + 5], 2) for at in range(0, len(bits), 5)]
    check = reader.bech32_checksum(prefix, values + [0] * 6) ^ 1
    return prefix + "1" + "".join("qpzry9x8gf2tvdw0s3jn54khce6mua7l"[value] for value in values + [check >> 5 * (5 - i) & 31 for i in range(6)])


class Maker:
    """Writes segments. `hooks` change one thing each, before whatever covers it is computed."""

    sealer: Optional[Sealer] = None

    def __init__(self) -> None:
        self.slot, self.seq, self.epoch, self.watermark = 0, 0, 0, START
        self.previous, self.nonce = bytes(32), bytes(16)

    def segment(self, lines: List[str], entries: Optional[List[Dict[str, Any]]] = None, complete: Optional[bool] = None, cuts: int = 1,
                **hooks: Any) -> bytes:
        def change(name: str, value: Any) -> Any:
            hook: Callable[[Any], Any] = hooks.get(name, lambda same: same)
            return hook(value)

        fence = hooks.get("fence", not lines)
        self.slot += 1
        if fence:
            self.epoch += 1
            self.nonce = sha(b"%d" % self.epoch)[:16]
        complete = (fence or self.slot % 64 == 0) if complete is None else complete
        raw = [line.encode("utf-8", "surrogatepass") for line in lines]
        heads = [reader.PLAIN.decode((line.partition(b',"obj":')[0] + (b"}" if b',"obj":' in line else b"")).decode("utf-8", "replace"))
                 if hooks.get("parse", True) else {} for line in raw]
        first, last = self.seq + 1, self.seq + len(raw)
        times = [head.get("t", START) for head in heads] or [self.watermark]
        times = [t if isinstance(t, int) else START for t in times]
        root = change("root", tree([leaf(line) for line in raw]))
        root = self.sealer.keyed(1, root) if self.sealer else root
        f: Dict[str, Any] = dict(
            skippable=0x184D2A5D, length=376, magic=b"KVBFOOT1", major=0, minor=1, kind=1, level=0, shard=0,
            flags=(4 if fence else 0) | (8 if complete else 0) | (16 if any(h.get("op") == "G" for h in heads) else 0)
            | (32 if any("lo" in h for h in heads) else 0) | (64 if any("from" in h for h in heads) else 0),
            features=0, archive=bytes.fromhex(ARCHIVE.replace("-", "")), epoch=self.epoch, first_slot=self.slot, last_slot=self.slot,
            first_seq=first, last_seq=last, records=len(raw), members=0, first_time=times[0], last_time=times[-1],
            index_offset=0, index_length=0, index_content=0, body_length=0, encryption_length=0, signer=0,
            body_hash=b"", previous=self.previous, root=root, index_hash=b"", nonce=self.nonce)
        meta = {"format": "0.1", "kind": "log", "archive": ARCHIVE, "shard": 0, "segment": self.slot, "epoch": self.epoch, "nonce": self.nonce.hex(),
                "fence": fence, "firstSeq": first, "lastSeq": last, "records": len(raw), "firstTime": times[0], "lastTime": times[-1],
                "prev": self.previous.hex(), "root": root.hex(), "software": "test"}
        step = -(-len(raw) // cuts) if raw else 1
        groups = [list(range(at, min(at + step, len(raw)))) for at in range(0, len(raw), step)]
        contents, per_frame = [tar("meta.json", change("meta", compact(meta).encode() + b"\n"))], [[1, []]]
        for number, group in enumerate(groups):
            member = tar("events.jsonl" if len(groups) == 1 else "events-%04d.jsonl" % number, change("member", b"".join(raw[i] + b"\n" for i in group)))
            if number == 0:
                contents[0] += member
                per_frame[0] = [2, group]
            else:
                contents.append(member)
                per_frame.append([1, group])
        contents = change("contents", contents)
        frames = change("frames", [zstd(content) for content in contents])
        f["members"] = sum(count for count, _ in per_frame)
        table, offset = b"", 0
        for frame, content, (count, group) in zip(frames, contents, per_frame):
            seqs = (first + group[0], first + group[-1], times[group[0]], times[group[-1]]) if group else (0, 0, 0, 0)
            table += struct.pack("<QIIIIQQqq", offset, len(frame), len(content), count, len(group), *seqs) + sha(frame) + bytes(16)
            offset += len(frame)
        index = b"KVBIDX01" + struct.pack("<QQBQQQ", f["members"], len(raw), 0, 0, 0, len(frames)) + table
        index_content = change("index_content", tar(".index", change("index", index)) + bytes(1024))
        index_frame = zstd(index_content)
        public_json = compact({"complete": complete, "entries": entries or []}).encode()
        public_json = change("public_json", public_json)
        public = b"KVBPUB01" + sha(public_json) + public_json
        public = change("public", struct.pack("<II", 0x184D2A5C, len(public)) + public)
        body, header = b"".join(frames) + index_frame, 0
        if self.sealer:
            body, header = self.sealer.age(body)
            f["flags"] |= 1
        f.update(index_offset=offset, index_length=len(index_frame), index_content=len(index_content), body_length=len(body),
                 encryption_length=header, body_hash=sha(body + public), index_hash=sha(index_frame))
        if self.sealer:
            fields = struct.pack("<II8sHHHHIIQ16sQQQQQQQqqQIIQII32s32s32s32s16s", *f.values())
            f["index_hash"] = self.sealer.keyed(2, fields[16:256], fields[288:304], public[16:48], index_frame)
        f = change("footer", f)
        packed = struct.pack("<II8sHHHHIIQ16sQQQQQQQqqQIIQII32s32s32s32s16s", *f.values())
        data = body + public + packed + sha(packed)[:16] + hooks.get("signature", bytes(64))
        self.previous, self.seq, self.watermark = sha(data), last, times[-1]
        return data


def one(lines: List[str], **hooks: Any) -> bytes:
    """A single segment, slot 2 after a fence."""
    maker = Maker()
    maker.segment([])
    return maker.segment(lines, **hooks)


def put(**fields: Any) -> Callable[[Dict[str, Any]], Dict[str, Any]]:
    return lambda footer: {**footer, **fields}


def code_of(data: bytes, slot: int = 2, deep: bool = True) -> str:
    try:
        segment = reader.read_segment(data, ARCHIVE, slot)
        if deep:
            segment.deep_check()
    except reader.Problem as problem:
        return problem.code
    return "ok"


def entry(proven: Optional[int], **more: Any) -> Dict[str, Any]:
    base = {"group": "kubevirt.io", "resource": "virtualmachines", "kind": "VirtualMachine", "apiVersion": "kubevirt.io/v1", "rv": "9",
            "provenAt": proven, "state": "live", "era": 1}
    return {key: value for key, value in {**base, **more}.items() if value is not None}


def write_archive(path: str, segments: Dict[int, bytes], identity: Optional[bytes] = None) -> None:
    os.makedirs(os.path.join(path, "log", "0000"))
    with open(os.path.join(path, "archive.json"), "wb") as file:
        file.write(compact(IDENTITY).encode() + b"\n" if identity is None else identity)
    for slot, data in segments.items():
        with open(os.path.join(path, "log", "0000", f"{slot:016x}"), "wb") as file:
            file.write(data)


def run(*arguments: str) -> Tuple[int, str, str]:
    """The tool as a user calls it, within this process."""
    out, err = io.TextIOWrapper(io.BytesIO(), "utf-8"), io.TextIOWrapper(io.BytesIO(), "utf-8")
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = reader.main(list(arguments))
    for stream in (out, err):
        stream.flush()
    return code, out.buffer.getvalue().decode(), err.buffer.getvalue().decode()


# --- a writer of windows and manifests --------------------------------------------------------------------------------------

def sort_elements(line: bytes) -> Tuple[bytes, ...]:
    """(home, namespace, name, group, kind) of a line, five times nothing if it has no key."""
    head = json.loads(line.partition(b',"obj":')[0] + (b"}" if b',"obj":' in line else b""))
    return tuple(part.encode() for part in head["k"][:5]) if "k" in head else (b"",) * 5


def head_of(line: bytes) -> Dict[str, Any]:
    return json.loads(line.partition(b',"obj":')[0] + (b"}" if b',"obj":' in line else b""))


def bloom(lines: List[bytes]) -> bytes:
    """The filter by its definition, bit by bit."""
    entries = set()
    for line in lines:
        if "k" in head_of(line):
            home, namespace, name, group, kind = sort_elements(line)
            entries |= {b"\1" + home, b"\2" + b"\0".join((namespace, name, group, kind))}
    bits = [0] * (8 * max(1, (10 * len(entries) + 7) // 8))
    for entry in entries:
        digest = sha(entry)
        for j in range(7):
            bits[(int.from_bytes(digest[:8], "little") + j * int.from_bytes(digest[8:16], "little")) % len(bits)] = 1
    return bytes(sum(bit << i for i, bit in enumerate(bits[at:at + 8])) for at in range(0, len(bits), 8))


def resume(segments: Dict[int, bytes], last: int) -> List[Dict[str, Any]]:
    """The entries of a window that ends in slot `last`: all resume maps that can be read, one after the other."""
    known: Dict[Tuple[str, str, str], Dict[str, Any]] = {}
    for slot in range(1, last + 1):
        try:
            footer = reader.read_footer(segments[slot], len(segments[slot]), ARCHIVE, slot)
            public = json.loads(segments[slot][footer.body_length + 48:-384])
        except reader.Problem:
            continue
        names = []
        for item in public["entries"]:
            name = (item["group"], item["resource"], item.get("scope", ""))
            names.append(name)
            old = known.get(name, {})
            known[name] = {**item, "named": old.get("named", footer.last_seq), "current": True}
            since = old.get("since", item.get("provenAt"))
            known[name].update({} if since is None else {"since": since})
        for name in known:
            known[name]["current"] = known[name]["current"] and (name in names or not public["complete"])
    return [known[name] for name in sorted(known)]


def roll(segments: Dict[int, bytes], first: int, last: int, level: int = 2, parts: int = 1, per_member: int = 1 << 30, per_frame: int = 1 << 30,
         ends_from: Optional[int] = None, without: Optional[List[List[int]]] = None, **hooks: Any) -> Tuple[Dict[str, Any], Dict[str, bytes]]:
    """A window of the slots `first` to `last`: WINDOW and its bundles by name; with `ends_from`, a checkpoint at `last`. `hooks` change one
    thing each, as those of Maker do."""
    def change(name: str, value: Any) -> Any:
        hook: Callable[[Any], Any] = hooks.get(name, lambda same: same)
        return hook(value)

    read = [reader.read_segment(segments[slot], ARCHIVE, slot) for slot in range(first, last + 1)]
    begin, end = read[0].footer, read[-1].footer
    lines = [part.content[a:b] for segment in read for part in segment.parts for a, b in reader.line_bounds(part)]
    moment = head_of(lines[-1])["t"] if lines else 0
    if ends_from is not None:
        level, lines = 0, kept(lines, ends_from, end.last_time)
    root, head = tree([leaf(line) for line in lines]), sha(segments[last])
    earliest: Dict[str, int] = {}
    for parsed in map(head_of, lines if ends_from is None else []):
        for member, value in (("lo", parsed.get("lo")), ("from", parsed.get("from")), ("gap", parsed["gap"]["from"] if parsed["op"] == "G" else None)):
            if value is not None:
                earliest[member] = min(value, earliest.get(member, value))
    earliest = change("earliest", earliest)
    ordered = change("lines", sorted(lines, key=lambda line: (sort_elements(line), head_of(line)["seq"])))
    step = max(1, -(-len(ordered) // parts))
    chunks = [ordered[at:at + step] for at in range(0, len(ordered), step)]
    window = {"earliest": earliest, "firstSegment": first, "lastSegment": last, "firstSeq": begin.first_seq, "lastSeq": end.last_seq,
              "firstTime": begin.first_time, "lastTime": end.last_time, "head": head.hex(), "level": level, "parts": [], "prev": begin.previous.hex(),
              "root": root.hex()}
    point = {"endsFrom": ends_from, "t": moment, **({"without": without} if without else {})}
    if ends_from is not None:
        window = {**{member: window[member] for member in ("lastSegment", "lastSeq", "firstTime", "lastTime", "head", "root")}, "parts": [], **point}
    kind = 2 if ends_from is None else 3
    bundles: Dict[str, bytes] = {}
    for number, chunk in enumerate(chunks):
        members: List[List[bytes]] = []
        for line in chunk:
            tag = ("k" in head_of(line), sort_elements(line)[0])
            if not members or tag != ("k" in head_of(members[-1][0]), sort_elements(members[-1][0])[0]) or len(members[-1]) >= per_member:
                members.append([])
            members[-1].append(line)
        members = change("members", members)
        frames: List[List[List[bytes]]] = [[]] if hooks.get("alone") else []
        for member in members:
            if not frames or sum(map(len, frames[-1])) >= per_frame or frames == [[]]:
                frames.append([])
            frames[-1].append(member)
        flags = 8 | (16 if any(head_of(line)["op"] == "G" for line in chunk) else 0) | (32 if any("lo" in head_of(line) for line in chunk) else 0) \
            | (64 if any("from" in head_of(line) for line in chunk) else 0)
        own = change("root", tree([leaf(line) for line in sorted(chunk, key=lambda line: head_of(line)["seq"])]))
        window["root"] = own.hex() if len(chunks) == 1 else window["root"]
        f: Dict[str, Any] = dict(
            skippable=0x184D2A5D, length=376, magic=b"KVBFOOT1", major=0, minor=2, kind=kind, level=level, shard=0, flags=flags, features=0,
            archive=bytes.fromhex(ARCHIVE.replace("-", "")), epoch=end.epoch, first_slot=first, last_slot=last, first_seq=begin.first_seq,
            last_seq=end.last_seq, records=len(chunk), members=len(members) + 1, first_time=begin.first_time, last_time=end.last_time, index_offset=0,
            index_length=0, index_content=0, body_length=0, encryption_length=0, signer=0, body_hash=b"", previous=begin.previous, root=own,
            index_hash=b"", nonce=end.nonce)
        meta = {"format": "0.2", "kind": "history" if kind == 2 else "checkpoint", "archive": ARCHIVE, "shard": 0, "level": level, "firstSegment": first, "lastSegment": last,
                "epoch": end.epoch, "nonce": end.nonce.hex(), "firstSeq": begin.first_seq, "lastSeq": end.last_seq, "records": len(chunk),
                "firstTime": begin.first_time, "lastTime": end.last_time, "prev": begin.previous.hex(), "root": own.hex(), "head": head.hex(),
                "part": number + 1, "salt": "ab" * 16, "software": "test"}
        contents, count = [], 0
        for frame in frames:
            content = tar("meta.json", change("meta", compact(meta).encode() + b"\n")) if not contents else b""
            for member in frame:
                count += 1
                home = "".join(chr(byte) if chr(byte).isalnum() and byte < 128 or chr(byte) in ".-" else "_" for byte in sort_elements(member[0])[0])
                content += tar(change("name", "%08d-%s.jsonl" % (count, home[:80])), change("member", b"".join(line + b"\n" for line in member)))
            contents.append(content)
        contents = change("contents", contents)
        stored = change("frames", [zstd(content) for content in contents])
        table, offset = [], 0
        for frame, content, raw in zip(frames, contents, stored):
            inside = [line for member in frame for line in member]
            seqs = sorted((head_of(line)["seq"], head_of(line)["t"]) for line in inside) or [(0, 0)]
            keys = [b"\0".join(sort_elements(line)) if "k" in head_of(line) else b"" for line in (inside[:1] + inside[-1:])] or [b"", b""]
            table.append(change("entry", [offset, len(raw), len(content), len(frame) + (offset == 0), len(inside), seqs[0][0], seqs[-1][0], seqs[0][1],
                                          seqs[-1][1], sha(raw), *keys]))
            offset += len(raw)
        packed = b"".join(struct.pack("<QIIIIQQqq", *item[:9]) + item[9] + b"".join(struct.pack("<Q", len(key)) + key for key in item[10:])
                          for item in change("table", table))
        bits = change("filter", bloom(chunk))
        index = b"KVBIDX01" + struct.pack("<QQBQQ", len(members) + 1, len(chunk), hooks.get("probes", 7), 8 * len(bits), len(bits)) + bits \
            + struct.pack("<Q", len(table)) + packed
        index_content = change("index_content", tar(".index", change("index", index)) + bytes(1024))
        index_frame = zstd(index_content)
        public_json = change("public_json", compact({"complete": True, "entries": change("entries", resume(segments, last)), "head": head.hex(),
                                                     "earliest": earliest, **({"checkpoint": change("point", point)} if kind == 3 else {})}).encode())
        public = b"KVBPUB01" + sha(public_json) + public_json
        public = change("public", struct.pack("<II", 0x184D2A5C, len(public)) + public)
        body = b"".join(stored) + index_frame
        f.update(index_offset=offset, index_length=len(index_frame), index_content=len(index_content), body_length=len(body),
                 body_hash=sha(body + public), index_hash=sha(index_frame))
        f = change("footer", f)
        footer = struct.pack("<II8sHHHHIIQ16sQQQQQQQqqQIIQII32s32s32s32s16s", *f.values())
        data = body + public + footer + sha(footer)[:16] + hooks.get("signature", bytes(64))
        bundles[sha(data).hex()] = data
        window["parts"].append({"records": len(chunk), "sha256": sha(data).hex(), "size": len(data)})
    return change("window", window), bundles


def kept(lines: List[bytes], ends_from: int, last_time: int) -> List[bytes]:
    """checkpoints.md 1, word by word, of lines in the order of seqs."""
    heads = [head_of(line) for line in lines]

    def place(head: Dict[str, Any]) -> Tuple[int, int]:
        return head.get("from", head["seq"]), head["seq"]

    keep = set()
    for name in {tuple(head["k"][1:5]) for head in heads if "k" in head}:
        own = [head for head in heads if "k" in head and tuple(head["k"][1:5]) == name]
        states, ends = [head for head in own if head["op"] in "AMSWN"], [head for head in own if head["op"] in "DX"]
        s = max(states, key=place) if states else None
        if s is not None:
            ended = any(place(head) > place(s) and head["k"][5] == s["k"][5] for head in ends)
            keep |= {s["seq"]} if not ended or place(s)[0] >= ends_from else set()
        keep |= {head["seq"] for head in ends if place(head)[0] >= ends_from and (s is None or place(head) > place(s))}
    gaps = [head for head in heads if head["op"] == "G"]
    for opened in {head["gap"].get("opened", head["seq"]) for head in gaps}:
        own = [head for head in gaps if opened in (head["seq"], head["gap"].get("opened"))]
        z = own[-1]["gap"]
        if z.get("to", last_time + 1) > last_time or z["cause"] == "damage":
            keep |= {head["seq"] for head in own}
    return [line for line, head in zip(lines, heads) if head["seq"] in keep]


def check(segments: Dict[int, bytes], last: int, ends_from: int, parts: int = 1, **more: Any) -> Tuple[Dict[str, Any], Dict[str, bytes]]:
    """A checkpoint at a slot: CHECKPOINT, and its parts by name."""
    return roll(segments, 1, last, parts=parts, ends_from=ends_from, **more)


def manifest(number: int, before: Optional[bytes], listed: List[Dict[str, Any]], **changes: Any) -> bytes:
    value = {"archive": ARCHIVE, "format": "0.2", "n": number, "prev": (bytes(32) if before is None else sha(before)).hex(), "software": "test",
             "windows": listed, "written": START + number, **changes}
    return json.dumps({key: item for key, item in value.items() if item is not None}, sort_keys=True, separators=(",", ":")).encode() + b"\n"


def write_history(path: str, manifests: List[bytes], *bundles: Dict[str, bytes]) -> None:
    for name in ("man", "hist", "ckpt"):
        os.makedirs(os.path.join(path, name), exist_ok=True)
    for number, data in enumerate(manifests, 1):
        with open(os.path.join(path, "man", f"{number:016x}"), "wb") as file:
            file.write(data)
    for some in bundles:
        for name, data in some.items():
            kind = data[-364:-362] if len(data) >= 384 else b""
            with open(os.path.join(path, "ckpt" if kind == b"\3\0" else "hist", name), "wb") as file:
                file.write(data)


def whole(window: Dict[str, Any], bundles: Dict[str, bytes], parts: Optional[List[int]] = None) -> str:
    """The code of a window that is read whole, or of some of its parts."""
    @contextlib.contextmanager
    def opened(part: int) -> Any:
        data = bundles[parsed.parts[part - 1].sha256]
        yield reader.open_bundle(reader.Blob(io.BytesIO(data), len(data)), ARCHIVE, parsed, part)

    try:
        if "endsFrom" in window:
            parsed = reader.read_checkpoint(window)
            reader.check_checkpoint(parsed, [])
            reader.read_whole_checkpoint(parsed, opened, parts)
        else:
            parsed = reader.read_window(window)
            reader.check_window(parsed)
            reader.read_whole(parsed, opened, parts)
    except reader.Problem as problem:
        return problem.code
    return "ok"


def history() -> Dict[int, bytes]:
    """Two epochs: a VM created, changed, deleted and created again; one withheld, one absent, one back-dated, gaps, a late change."""
    maker = Maker()
    gap = {"group": "kubevirt.io", "resource": "virtualmachines", "from": START + 6500, "cause": "expired"}
    return {
        1: maker.segment([], [entry(None)]),
        2: maker.segment([
            rec(1, "S", body=obj("vm", "1")), rec(2, "M", body=obj("vm", "2", extra=',"spec":{"running":true,"x":1.0}')),
            rec(3, "W", "secret", rv="77", reason="policy"), rec(4, "N", "gone", uid="")], [entry(START + 1000)], cuts=2),
        3: maker.segment([
            rec(5, "D", body=obj("vm", "3")), rec(6, "A", uid="u2", body=obj("vm", "4", "u2")), rec(7, "G", gap=gap),
            rec(8, "D", uid="u1", i=1, lo=START + 5500), rec(9, "M", "late", body=obj("late", "6"), lo=START + 6100)], [entry(START + 9000)]),
        4: maker.segment([], [entry(START + 9000)]),
        5: maker.segment([
            rec(10, "S", "old", body=obj("old", "5"), from_=2), rec(11, "G", gap={**gap, "to": START + 8500, "opened": 7}), rec(12, "H")],
            [entry(START + 12000)]),
    }


class Segments(unittest.TestCase):
    def test_a_good_segment_is_read_whatever_its_cuts(self) -> None:
        lines = [rec(seq, "M", body=obj("vm", str(seq))) for seq in range(1, 12)]
        for cuts in (1, 2, 3, 11):
            data = one(lines, cuts=cuts)
            self.assertEqual(code_of(data), "ok", cuts)
            segment = reader.read_segment(data, ARCHIVE, 2)
            self.assertEqual([line.head_bytes + b',"obj":' + (line.obj or b"") + b"}" for line in segment.lines()], [line.encode() for line in lines])

    def test_the_event_root_is_that_of_the_definition_for_every_small_number(self) -> None:
        for count in range(0, 40):
            root, leaves = reader.EventRoot(), [sha(b"%d" % i) for i in range(count)]
            for item in leaves:
                root.add(item)
            self.assertEqual(root.root(), tree(leaves), count)

    def test_every_broken_footer_gives_its_code(self) -> None:
        line = [rec(1, "H")]
        cases: List[Tuple[str, Dict[str, Any]]] = [
            ("E_FOOTER_MAGIC", put(magic=b"KVBFOOT2")), ("E_FOOTER_MAGIC", put(length=377)), ("E_VERSION", put(minor=2)), ("E_VERSION", put(major=1)),
            ("E_FEATURE", put(features=1)), ("E_FEATURE", put(flags=1)), ("E_FEATURE", put(flags=2)), ("E_FEATURE", put(encryption_length=1)),
            ("E_FEATURE", put(signer=1)), ("E_RESERVED", put(flags=128)), ("E_RESERVED", put(level=1)), ("E_FOOTER_FIELD", put(kind=2)),
            ("E_FOOTER_FIELD", put(shard=1)), ("E_FOOTER_FIELD", put(last_slot=3)), ("E_FOOTER_FIELD", put(epoch=0)),
            ("E_FOOTER_FIELD", put(first_seq=0, last_seq=0)), ("E_FOOTER_FIELD", put(records=2)), ("E_FOOTER_FIELD", put(first_time=5)),
            ("E_FOOTER_FIELD", put(members=1)), ("E_FOOTER_FIELD", put(members=3)), ("E_FOOTER_FIELD", put(flags=4)), ("E_FOOTER_FIELD", put(flags=12)),
            ("E_FOOTER_FIELD", put(index_offset=1 << 40)), ("E_FOOTER_FIELD", put(body_length=0)), ("E_ARCHIVE", put(archive=bytes(16))),
            ("E_NAME", put(first_slot=9, last_slot=9)), ("E_BODY_HASH", put(body_hash=bytes(32))), ("E_INDEX_HASH", put(index_hash=bytes(32))),
            ("E_LIMIT", put(index_content=(16 << 20) + 1)), ("E_ZSTD", put(index_content=4096)), ("E_ROOT", put(root=bytes(32))),
            ("E_FLAGS", put(flags=16)), ("E_FLAGS", put(flags=8)), ("E_TIME", put(last_time=START + 2000))]
        for expected, hook in cases:
            meta = (lambda text: text) if expected not in ("E_ROOT", "E_TIME") else None
            hooks: Dict[str, Any] = {"footer": hook}
            if meta is None:  # meta.json repeats these, and is compared first
                changed = hook({})
                names = {"root": "root", "last_time": "lastTime"}
                hooks["meta"] = lambda text, changed=changed: compact({**json.loads(text), **{
                    names[key]: value.hex() if isinstance(value, bytes) else value for key, value in changed.items()}}).encode() + b"\n"
            self.assertEqual(code_of(one(line, **hooks)), expected, hook({}))
        self.assertEqual(code_of(one(line, signature=b"\1" + bytes(63))), "E_RESERVED")
        good = one(line)
        self.assertEqual(code_of(good[:-70] + bytes([good[-70] ^ 1]) + good[-69:]), "E_FOOTER_CHECK")
        self.assertEqual(code_of(good[:-200] + bytes([good[-200] ^ 1]) + good[-199:]), "E_FOOTER_CHECK")
        self.assertEqual(code_of(one(line)[:-1]), "E_FOOTER_MAGIC")
        self.assertEqual(code_of(one(line) + b"x"), "E_FOOTER_MAGIC")
        self.assertEqual(code_of(bytes(383)), "E_TRUNCATED")
        self.assertEqual(code_of(b""), "E_TRUNCATED")

    def test_every_broken_frame_member_index_and_map_gives_its_code(self) -> None:
        line = [rec(1, "H")]

        def first(change: Callable[[bytes], bytes]) -> Callable[[List[bytes]], List[bytes]]:
            return lambda items: [change(items[0])] + items[1:]

        plain = zstandard.ZstdCompressor(write_checksum=False, write_content_size=True)
        unsized = zstandard.ZstdCompressor(write_checksum=True, write_content_size=False)
        wide = zstandard.ZstdCompressor(compression_params=zstandard.ZstdCompressionParameters(window_log=24, write_checksum=True))
        raw: List[bytes] = []
        one(line, contents=lambda items: raw.extend(items) or items)
        cases: List[Tuple[str, Dict[str, Any]]] = [
            ("E_ZSTD", {"frames": first(lambda frame: frame + b"\0")}), ("E_ZSTD", {"frames": first(lambda frame: frame[:-1])}),
            ("E_ZSTD", {"frames": first(lambda frame: frame[:-1] + bytes([frame[-1] ^ 1]))}),
            ("E_ZSTD", {"frames": first(lambda frame: frame + zstd(b"x"))}), ("E_ZSTD", {"frames": first(lambda frame: frame[:4] + bytes([frame[4] | 8]) + frame[5:])}),
            ("E_ZSTD", {"frames": first(lambda _: plain.compress(raw[0]))}), ("E_ZSTD", {"frames": first(lambda _: unsized.compress(raw[0]))}),
            ("E_ZSTD", {"frames": first(lambda frame: b"\x50\x2a\x4d\x18\0\0\0\0" + frame)}), ("E_ZSTD", {"frames": first(lambda _: b"abc")}),
            ("E_TAR", {"contents": first(lambda c: b"M" + c[1:])}), ("E_TAR", {"contents": first(lambda c: c[:-1] + b"x")}),
            ("E_TAR", {"contents": first(lambda c: c[:-512])}), ("E_TAR", {"contents": first(lambda c: c[1024:])}),
            ("E_TAR", {"contents": first(lambda c: c + tar("x", b"y"))}), ("E_TAR", {"contents": first(lambda c: c + tar("events-0001.jsonl", b"y\n"))}),
            ("E_TAR", {"member": lambda _: b""}), ("E_LINE", {"member": lambda m: m[:-1]}), ("E_LINE", {"member": lambda m: m.replace(b"\n", b"\r\n")}),
            ("E_TAR", {"index_content": lambda c: c + bytes(512)}), ("E_TAR", {"index_content": lambda c: c[:-512]}),
            ("E_INDEX", {"index": lambda i: b"K" + i[:7] + i[8:]}), ("E_INDEX", {"index": lambda i: i + b"\0"}), ("E_INDEX", {"index": lambda i: i[:-1]}),
            ("E_INDEX", {"index": lambda i: i[:41] + b"\xff" * 8 + i[49:]}), ("E_INDEX", {"index": lambda i: i[:24] + b"\1" + i[25:]}),
            ("E_INDEX", {"index": lambda i: i[:49] + b"\1" + i[50:]}), ("E_COUNT", {"index": lambda i: i[:8] + b"\7" + i[9:]}),
            ("E_COUNT", {"index": lambda i: i[:73] + b"\2" + i[74:]}), ("E_INDEX", {"index": lambda i: i[:41] + bytes(8)}),
            ("E_LIMIT", {"index": lambda i: i[:61] + struct.pack("<I", (32 << 20) + 1) + i[65:]}),
            ("E_FRAME_HASH", {"index": lambda i: i[:110] + bytes(10) + i[120:]}), ("E_COUNT", {"index": lambda i: i[:73] + b"\1" + bytes(3) + b"\2" + i[78:]}),
            ("E_META", {"meta": lambda m: m.replace(b'"shard":0', b'"shard":false')}), ("E_META", {"meta": lambda m: m[:-1]}),
            ("E_META", {"meta": lambda m: m.replace(b'"software":"test"', b'"other":1')}), ("E_LIMIT", {"meta": lambda m: m[:-2] + b" " * 65536 + b"}\n"}),
            ("E_PUBLIC", {"public": lambda p: b"\x50" + p[1:]}), ("E_PUBLIC", {"public": lambda p: p[:-1]}), ("E_PUBLIC", {"public": lambda p: p + b"x"}),
            ("E_PUBLIC", {"public": lambda p: b""}), ("E_PUBLIC", {"public_json": lambda _: b"[" * 100000}), ("E_PUBLIC", {"public_json": lambda _: b"{}"}),
            ("E_PUBLIC", {"public_json": lambda j: j + b"\n"}), ("E_PUBLIC", {"entries": [entry(1)]}), ("E_PUBLIC", {"entries": [entry(START), entry(START)]}),
            ("E_PUBLIC", {"entries": [entry(START, state="odd")]}), ("E_PUBLIC", {"entries": [entry(START, rv="01")]}),
            ("E_LIMIT", {"entries": [entry(START, detail="x" * 1025)]}), ("ok", {"entries": [entry(START, scope="a"), entry(START, scope="b")]}),
            ("E_FLAGS", {"public_json": lambda j: j.replace(b"false", b"true")})]
        for number, (expected, hooks) in enumerate(cases):
            self.assertEqual(code_of(one(line, **hooks)), expected, (number, hooks))
        big = [rec(1, "A", body=obj("vm", extra=',"x":"' + random.Random(1).randbytes(4_500_000).hex() + '"'))]
        self.assertEqual(code_of(one(big, frames=first(lambda frame: wide.compress(zstandard.ZstdDecompressor().decompress(frame))))), "E_ZSTD")

    def test_fields_that_contradict_each_other_give_their_codes(self) -> None:
        line = [rec(1, "H")]

        def word(at: int, value: int, size: int = 4) -> Callable[[bytes], bytes]:
            return lambda raw: raw[:at] + value.to_bytes(size, "little") + raw[at + size:]

        def less(at: int, by: int) -> Callable[[bytes], bytes]:
            return lambda raw: raw[:at] + (int.from_bytes(raw[at:at + 4], "little") - by).to_bytes(4, "little") + raw[at + 4:]

        cases: List[Tuple[str, Dict[str, Any]]] = [
            ("E_FOOTER_FIELD", {"footer": put(first_time=START + 5000)}),
            ("E_FOOTER_FIELD", {"footer": lambda f: {**f, "index_offset": 0, "body_length": f["index_length"]}}),
            ("E_TAR", {"index_content": lambda c: tar(".indey", c[512:690]) + bytes(1024)}), ("E_INDEX", {"index": lambda i: i[:-1] + b"\1"}),
            ("E_INDEX", {"index": less(57, 1)}), ("E_COUNT", {"index": word(16, 2)}), ("E_ZSTD", {"index": less(61, 512)}),
            ("E_PUBLIC", {"public": less(4, 1)}), ("E_PUBLIC", {"public": word(8, 0)}), ("E_PUBLIC", {"public": word(16, 0)}), ("E_PUBLIC", {"entries": [1]}),
            ("E_PUBLIC", {"entries": [entry(START, scope=5)]}), ("E_PUBLIC", {"entries": [entry(START, era=0)]}), ("E_PUBLIC", {"entries": [entry(START, kind=1)]}),
            ("E_LIMIT", {"public_json": lambda j: j + b" " * (16 << 20)}), ("E_PUBLIC", {"public_json": lambda j: b'{"complete":true,' + j[1:]}),
            ("E_META", {"meta": lambda m: m + b"\n"}), ("E_META", {"meta": lambda m: m[:-1] + b" \n"})]
        for number, (expected, hooks) in enumerate(cases):
            self.assertEqual(code_of(one(line, **hooks)), expected, number)
        three = [rec(seq, "H") for seq in (1, 2, 3)]
        self.assertEqual(code_of(one(three, cuts=3, index=lambda i: word(61 + 208, 30 << 20)(word(61 + 104, 30 << 20)(word(61, 30 << 20)(i))))), "E_LIMIT")
        for hook in (put(first_time=START - 1), put(flags=4)):
            self.assertEqual(code_of(Maker().segment([], footer=hook), 1), "E_FOOTER_FIELD")
        maker = Maker()
        maker.slot, maker.epoch = 63, 1
        self.assertEqual(code_of(maker.segment(line, complete=False), 64), "E_PUBLIC")
        with self.assertRaisesRegex(reader.Problem, "larger than 128 MiB"):
            reader.read_footer(one(line)[-384:], (128 << 20) + 1, ARCHIVE, 2)
        big = [rec(seq, "A", body=obj("vm", extra=',"x":"' + "x" * 6_000_000 + '"')) for seq in (1, 2, 3)]
        self.assertEqual(code_of(one(big, cuts=3), deep=False), "ok")
        self.assertEqual(code_of(one(big), deep=False), "E_TAR")

    def test_every_broken_line_gives_its_code(self) -> None:
        gap = {"group": "", "resource": "pods", "from": START, "cause": "expired"}
        good = [rec(1, "A", body=obj("vm")), rec(1, "D"), rec(1, "D", rv="5"), rec(1, "D", body=obj("vm")), rec(1, "X", reason="left"), rec(1, "N", uid=""),
                rec(1, "W", rv="0", reason=""), rec(1, "H"), rec(1, "G", gap=gap), rec(1, "G", gap={**gap, "to": START, "scope": "ns"}), rec(1, "Z", skip=1),
                rec(1, "H", other=1.5), rec(1, "H", era=2), rec(1, "A", "vm", body=obj("vm"), lo=START), rec(1, "A", "é", body=obj("é"))]
        for line in good:
            self.assertEqual(code_of(one([line])), "ok", line)
        bad = [
            ("E_OP", rec(1, "Z")), ("E_LINE", rec(1, "Z", skip=True)), ("E_LINE", rec(1, "ZZ", skip=1)), ("E_LINE", rec(1, "A")), ("E_LINE", rec(1, "H", body=obj("vm"))),
            ("E_LINE", rec(1, "W", reason="r")), ("E_LINE", rec(1, "W", rv="1")), ("E_LINE", rec(1, "D", rv="5", body=obj("vm"))), ("E_LINE", rec(1, "D", rv="05")),
            ("E_LINE", rec(1, "D", rv="18446744073709551616")), ("E_LINE", rec(1, "X")), ("E_LINE", rec(1, "H", reason="no")), ("E_LINE", rec(1, "H", k=["", "", "", "", "", ""])),
            ("E_LINE", rec(1, "D", k=["a"])), ("E_LINE", rec(1, "N", uid="u")), ("E_LINE", rec(1, "A", i=1, body=obj("vm"))), ("E_LINE", rec(1, "D", i=2)),
            ("E_LINE", rec(1, "D", i=True)), ("E_LINE", rec(1, "D", era=0)), ("E_LINE", rec(1, "D", era=1 << 32)), ("E_TIME", rec(1, "D", lo=START + 1000)),
            ("E_TIME", rec(1, "D", lo=7)), ("E_SEQ", rec(1, "A", body=obj("vm"), from_=1)), ("E_SEQ", rec(1, "D", from_=1)), ("E_LINE", rec(1, "H", gap=gap)),
            ("E_LINE", rec(1, "G")), ("E_LINE", rec(1, "G", gap={**gap, "cause": "rain"})), ("E_LINE", rec(1, "G", gap={**gap, "to": START - 1})),
            ("E_LINE", rec(1, "G", gap={**gap, "opened": 1, "to": START})), ("E_LINE", rec(1, "G", gap={**gap, "object": {}})),
            ("E_LINE", rec(1, "X", reason=5)), ("E_LINE", rec(1, "G", gap=[])), ("E_LINE", rec(1, "G", gap={**gap, "group": 1})), ("E_LINE", rec(1, "H") + " "),
            ("E_LINE", rec(1, "G", gap={**gap, "scope": 1})), ("E_LINE", rec(1, "G", gap={**gap, "from": "x"})), ("E_LINE", rec(1, "G", gap={**gap, "from": 5})),
            ("E_LINE", '{"obj":1,' + rec(1, "H")[1:]), ("E_SEQ", rec(2, "H")), ("E_LINE", rec(1, "H").replace('"op"', ' "op"')), ("E_LINE", rec(1, "H").replace('"seq":1', '"seq":1.0')),
            ("E_LINE", rec(1, "H").replace('"H"', '"\\u0048"')), ("E_LINE", rec(1, "H").replace('"H"', '"H","op":"H"')), ("E_LINE", rec(1, "H", x=0).replace("0}", "NaN}")),
            ("E_LINE", '{"obj":{}}'), ("E_LINE", "{}"), ("E_LINE", "[]"), ("E_LINE", ""), ("E_LINE", "}"), ("E_LINE", rec(1, "A", body="")),
            ("E_LINE", "{" + '"a":[' * 1200 + "]" * 1200 + "}"), ("E_LINE", rec(1, "D", "\ud800")), ("E_LIMIT", rec(1, "H", x="y" * 9000)),
            ("E_LIMIT", rec(1, "D", "n" * 600)), ("E_LIMIT", rec(1, "X", reason="r" * 1025)), ("E_LIMIT", rec(1, "G", gap={**gap, "detail": "r" * 1025})),
            ("E_LIMIT", rec(1, "A", body='"' + "x" * (8 << 20) + '"'))]
        for expected, line in bad:
            self.assertEqual(code_of(one([line], parse=expected != "E_LINE" or '"gap"' in line or '"lo"' in line), deep=False), expected, line[:200])
        self.assertEqual(code_of(one([rec(1, "H"), rec(2, "H", t=START + 1000)])), "E_TIME")
        self.assertEqual(code_of(one([rec(1, "H"), rec(2, "H", t=5), rec(3, "H")])), "E_TIME")

    def test_a_deep_check_finds_what_a_plain_one_passes(self) -> None:
        nest = ',"x":' + "[" * 127 + "]" * 127
        for body in (obj("vm", extra=nest), obj("vm", extra=',"x":-0.0e+5,"y":"\\u0001\\n\x7f"'), obj("vm", rv="18446744073709551615")):
            self.assertEqual(code_of(one([rec(1, "A", body=body)])), "ok", body)
        cases = [
            ("E_OBJECT", obj("vm", extra=',"x":' + "[" * 128 + "]" * 128)), ("E_OBJECT", "{}"), ("E_OBJECT", obj("vm", extra=',"a":1')),
            ("E_OBJECT", obj("vm", extra=',"x":1,"x":2')), ("E_OBJECT", obj("vm", extra=', "x":1')), ("E_OBJECT", obj("vm", extra=',"x":"\\u00e9"')),
            ("E_OBJECT", obj("vm", extra=',"x":"\\u000A"')), ("E_OBJECT", obj("vm", extra=',"x":"\\/"')), ("E_OBJECT", obj("vm", extra=',"x":01')),
            ("E_OBJECT", obj("vm") + "{}"), ("E_OBJECT", obj("vm", rv="1a")), ("E_OBJECT", obj("vm").replace('"1"', "1")), ("E_OBJECT", obj("vm", rv="")),
            ("E_KEY", obj("other")), ("E_KEY", obj("vm", uid="u9")), ("E_KEY", obj("vm").replace("kubevirt.io/v1", "v1")), ("E_KEY", obj("vm").replace("Machine", "M")),
            ("E_OBJECT", obj("vm").replace('"namespace":"ns"', '"namespace":5')), ("E_OBJECT", obj("vm").replace('"kind"', '"kine"'))]
        for body in ("null", "[]", obj("vm", extra=',"x":"\ud800"')):
            self.assertEqual(code_of(one([rec(1, "A", body=body)]), deep=False), "E_LINE", body)
        for expected, body in cases:
            data = one([rec(1, "A", body=body)])
            self.assertEqual(code_of(data, deep=False), "ok", body[:300])
            self.assertEqual(code_of(data), expected, body[:300])

    def test_the_fast_and_the_exact_check_of_canonical_json_agree(self) -> None:
        dice, agreed = random.Random(3), 0
        pieces = ['"a":1', '"b":{}', '"é":[]', '"\\n":-0', '"a\\u0001":1.50', '"\\u000a":1', '"z":[1,"\x7f"]', '"\U0001f600":null', '"\uffff":true', '"c": 1', '"d":1e3',
                  '"e":0.1', '"f":"\\/"', '"g":NaN', '"h":"\\ud800"', '"i":12345678901234567890123', '"j":[' * 1 + "[]" + "]"]
        for _ in range(4000):
            chosen = dice.sample(pieces, dice.randrange(1, 4))
            data = ("{" + ",".join(sorted(chosen) if dice.random() < 0.7 else chosen) + "}").encode()
            try:
                reader.check_canonical(data, in_order=True)
                exact = True
            except ValueError:
                exact = False
            fast = reader.is_plainly_canonical(data)
            self.assertTrue(exact or not fast, data)
            agreed += fast
        self.assertGreater(agreed, 100)

    def test_a_long_string_of_escapes_is_checked_to_its_end(self) -> None:
        body = obj("vm", extra=',"n":1e3,"x":"' + "\\n" * 100_000 + '%s"')
        self.assertEqual(code_of(one([rec(1, "A", body=body % "")])), "ok")
        self.assertEqual(code_of(one([rec(1, "A", body=body % "\\u0041")])), "E_OBJECT")

    def test_no_flipped_bit_and_no_cut_passes_or_raises_something_else(self) -> None:
        data = one([rec(seq, "M", body=obj("vm", str(seq))) for seq in range(1, 5)], cuts=2)
        dice = random.Random(7)
        for _ in range(1500):
            at = dice.randrange(len(data))
            changed = bytearray(data)
            changed[at] ^= 1 << dice.randrange(8)
            self.assertNotEqual(code_of(bytes(changed)), "ok", at)
        for size in range(0, len(data), 7):
            self.assertNotEqual(code_of(data[:size]), "ok", size)

    def test_damage_below_the_hashes_never_raises_anything_but_a_problem(self) -> None:
        dice = random.Random(11)

        def damage(value: bytes) -> bytes:
            changed = bytearray(value)
            for _ in range(dice.randrange(1, 4)):
                if changed:
                    changed[dice.randrange(len(changed))] = dice.choice(b'\0\xff"{}[],:\\0179-\n')
            return bytes(changed)

        lines = [rec(seq, "M", body=obj("vm", str(seq))) for seq in range(1, 4)]
        seen = set()
        for name in ("member", "index", "index_content", "meta", "public", "public_json"):
            for _ in range(250):
                seen.add(code_of(one(lines, entries=[entry(START)], **{name: damage})))
        for _ in range(250):
            seen.add(code_of(one(lines, frames=lambda frames: [damage(frame) for frame in frames])))
        self.assertLess({"E_ZSTD", "E_TAR", "E_INDEX", "E_META", "E_PUBLIC", "E_LINE"}, seen)

    def test_neighbours_that_do_not_follow_give_their_codes(self) -> None:
        def follow(change: Callable[[Maker], None], lines: Optional[List[str]] = None, **hooks: Any) -> str:
            maker = Maker()
            before = maker.segment([])
            before = maker.segment([rec(1, "H")])
            known = (reader.read_footer(before, len(before), ARCHIVE, 2), sha(before))
            change(maker)
            data = maker.segment([rec(2, "H")] if lines is None else lines, **hooks)
            try:
                reader.check_follows(reader.read_segment(data, ARCHIVE, maker.slot).footer, known)
            except reader.Problem as problem:
                return problem.code
            return "ok"

        def change(**fields: Any) -> Callable[[Maker], None]:
            return lambda maker: vars(maker).update(fields)

        self.assertEqual(follow(change()), "ok")
        self.assertEqual(follow(change(), []), "ok")
        self.assertEqual(follow(change(watermark=START + 10**9), []), "ok")
        self.assertEqual(follow(change(previous=bytes(32))), "E_CHAIN")
        self.assertEqual(follow(change(slot=3)), "E_MISSING")
        self.assertEqual(follow(change(epoch=2)), "E_EPOCH")
        self.assertEqual(follow(change(nonce=bytes(16))), "E_EPOCH")
        self.assertEqual(follow(change(epoch=0), []), "E_EPOCH")
        self.assertEqual(follow(change(seq=2), [rec(3, "H")]), "E_SEQ")
        self.assertEqual(follow(change(), [rec(2, "H", t=START + 1000)]), "E_TIME")
        self.assertEqual(follow(change(watermark=START), []), "E_TIME")


class Sealed(unittest.TestCase):
    """Encrypted archives."""

    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.path, self.key = os.path.join(folder.name, "archive"), os.path.join(folder.name, "key")
        with open(self.key, "w", encoding="utf-8") as file:
            file.write(f"# a comment\n{bech32('age-secret-key-', bytes([2]) * 32).upper()}\n")

    def archive(self, segments: Dict[int, bytes], *keys: bytes) -> None:
        write_archive(self.path, segments, SEALED)
        os.makedirs(os.path.join(self.path, "keys"))
        for number, data in enumerate(keys, 1):
            with open(os.path.join(self.path, "keys", f"{number:016x}.json"), "wb") as file:
                file.write(data)

    def segments(self, sealer: Optional[Sealer]) -> Dict[int, bytes]:
        maker = Maker()
        maker.sealer = sealer
        big = obj("vm", "2", extra=f',"text":"{random.Random(1).randbytes(90_000).hex()}"')
        return {1: maker.segment([]), 2: maker.segment([rec(1, "A", body=obj("vm"))]), 3: maker.segment([rec(2, "M", body=big)])}

    def codes(self, *more: str) -> List[str]:
        _, out, _ = run("verify", self.path, *more)
        return [line.split(" ")[0] for line in out.splitlines() if line.startswith("E_")]

    def test_an_encrypted_archive_is_read_with_its_key_and_with_no_other(self) -> None:
        sealer = Sealer()
        segments = self.segments(sealer)
        self.archive(segments, sealer.keys())
        self.assertGreater(len(segments[3]), 90_000, "several chunks")
        self.assertEqual(self.codes("--identity", self.key), [])
        code, out, _ = run("dump", self.path, "--at", "latest", "--identity", self.key)
        self.assertEqual((code, len(out.splitlines())), (0, 1))
        self.assertEqual(self.codes(), ["E_NO_KEY"])
        with open(self.key, "w", encoding="utf-8") as file:
            file.write(bech32("age-secret-key-", bytes([7]) * 32).upper())
        self.assertEqual(self.codes("--identity", self.key), ["E_NO_KEY"])

    def test_what_is_not_encrypted_or_sealed_by_a_stranger_is_refused(self) -> None:
        sealer = Sealer()
        good = self.segments(sealer)
        plain, forged, others = self.segments(None), self.segments(Sealer(b"X" * 32)), self.segments(Sealer(recipients=(7, 8)))
        self.archive({**good, 3: plain[3]}, sealer.keys())
        for replaced, expected in ((plain[3], "E_PLAIN"), (forged[3], "E_INDEX_HASH"), (others[3], "E_NO_KEY"), (good[3], None)):
            with open(os.path.join(self.path, "log", "0000", f"{3:016x}"), "wb") as file:
                file.write(replaced)
            self.assertEqual(self.codes("--identity", self.key), [expected] if expected else [])
        with open(os.path.join(self.path, "archive.json"), "wb") as file:
            file.write(compact(IDENTITY).encode() + b"\n")
        self.assertEqual(set(self.codes("--identity", self.key)), {"E_ENCRYPTED"})

    def test_every_byte_of_a_small_sealed_segment_is_vouched_for(self) -> None:
        sealer = Sealer()
        home = reader.Home(ARCHIVE)
        home.sealed, home.keys = True, reader.Keys([bytes([1]) * 32], sealer.root)
        good = self.segments(sealer)[2]
        reader.read_segment(good, home, 2)
        for at in range(0, len(good), 3):
            damaged = bytearray(good)
            damaged[at] ^= 1 << at % 8
            fixed = bytes(damaged[:-384]), bytearray(damaged[-384:])
            if not 160 <= at - (len(good) - 384) < 192:
                fixed[1][160:192] = sha(fixed[0])
            fixed[1][304:320] = sha(bytes(fixed[1][:304]))[:16]
            if fixed[0] + bytes(fixed[1]) == good:
                continue
            with self.assertRaises(reader.Problem, msg=f"byte {at}"):
                reader.read_segment(fixed[0] + bytes(fixed[1]), home, 2)

    def test_files_of_keys_follow_each_other_and_are_written_by_who_knows_the_root_key(self) -> None:
        sealer = Sealer()
        first = sealer.keys()
        second = sealer.keys(2, sha(first))
        stranger = Sealer(b"X" * 32)
        cases = [([first, second], []), ([first, stranger.keys(2, sha(first))], ["E_KEYS"]), ([first, sealer.keys(2, sha(second))], ["E_CHAIN"]),
                 ([first, sealer.keys(3, sha(first))], ["E_NAME"]), ([first, sealer.keys(2, sha(first), validFrom="2026-01-02T03:04:04Z")], ["E_TIME"]),
                 ([sealer.keys(recipients=[])], ["E_KEYS"]), ([sealer.keys(root=b"short")], ["E_KEYS"]), ([first[:-1]], ["E_KEYS"]), ([], ["E_MISSING"])]
        for files, expected in cases:
            with self.subTest(expected):
                if os.path.exists(self.path):
                    os.rename(self.path, f"{self.path}.{random.random()}")
                self.archive(self.segments(sealer), *files)
                self.assertEqual(self.codes("--identity", self.key), expected)


class Archives(unittest.TestCase):
    def setUp(self) -> None:
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.path = os.path.join(temporary.name, "a")

    def slot(self, number: int) -> str:
        return os.path.join(self.path, "log", "0000", f"{number:016x}")

    def names(self, at: str, *more: str) -> List[Tuple[str, int]]:
        code, out, err = run("dump", self.path, "--at", at, *more)
        self.assertEqual(code, 0, err)
        return [(line["name"], line["seq"]) for line in map(json.loads, out.splitlines())]

    def test_a_good_archive_verifies_and_leftovers_of_writes_are_no_objects(self) -> None:
        write_archive(self.path, history())
        self.assertEqual(run("verify", "--facts", self.path)[0], 0)
        with open(self.slot(6) + "#12", "wb") as file:
            file.write(b"half")
        code, out, _ = run("verify", self.path)
        self.assertEqual(code, 0, out)
        self.assertIn("5 of 5 segments found, 2 epochs", out)
        self.assertIn("seqs 1 to 12, 2023-11-14T22:13:20.001000Z to 2023-11-14T22:13:20.012000Z", out)

    def test_facts_that_do_not_hold_are_named_when_asked_for(self) -> None:
        maker = Maker()
        write_archive(self.path, {1: maker.segment([]), 2: maker.segment([
            rec(1, "S", body=obj("vm", "1")), rec(2, "M", body=obj("vm", "1")), rec(3, "A", uid="u2", body=obj("vm", "2", "u2")),
            rec(4, "D", uid="u2"), rec(5, "A", uid="u3", body=obj("vm", "3", "u3"))])})
        self.assertEqual(run("verify", self.path)[0], 0)
        code, out, _ = run("verify", "--facts", self.path)
        self.assertEqual((code, out.count("FACT 2 -: ")), (7, 2))
        self.assertRegex(out, "seq 2: it is of version 1[^$]*seq 3: it has a new uid")

    def test_what_was_no_longer_observed_may_be_seen_again_in_the_same_version(self) -> None:
        maker = Maker()
        write_archive(self.path, {1: maker.segment([]), 2: maker.segment([
            rec(1, "S", body=obj("vm", "1")), rec(2, "X", reason="unnamed"), rec(3, "S", body=obj("vm", "1")), rec(4, "M", body=obj("vm", "9")),
            rec(5, "M", body=obj("vm", "8")), rec(6, "M", era=2, body=obj("vm", "1"))])})
        code, out, _ = run("verify", "--facts", self.path)
        self.assertEqual((code, out.count("FACT 2 -: "), out.count("seq 5: it is of version 8")), (7, 1, 1), out)

    def test_a_record_that_an_earlier_proof_already_covered_is_a_fact_that_does_not_hold(self) -> None:
        for proven, expected in ((START + 2000, 7), (START + 1999, 0)):
            maker = Maker()
            proof = dict(entry(proven), group="kubevirt.io", resource="virtualmachines", kind="VirtualMachine")
            write_archive(self.path + str(proven), {1: maker.segment([]), 2: maker.segment([rec(1, "H")], [proof]),
                                                    3: maker.segment([rec(2, "S", body=obj("vm", "1"))])})
            code, out, _ = run("verify", "--facts", self.path + str(proven))
            self.assertEqual((code, out.count("FACT 3 -: seq 2: it is of")), (expected, expected // 7), out)

    def test_behind_a_hole_nothing_is_compared_with_what_was_before(self) -> None:
        maker = Maker()
        slots = {1: maker.segment([]), 2: maker.segment([rec(1, "S", body=obj("vm", "1"))]), 3: maker.segment([rec(2, "D")]),
                 4: maker.segment([rec(3, "A", uid="u2", body=obj("vm", "1", "u2"))])}
        write_archive(self.path, {**slots, 3: slots[3][:-1]})
        code, out, _ = run("verify", "--facts", self.path)
        self.assertEqual((code, out.count("E_FOOTER_MAGIC 3"), out.count("FACT")), (7, 1, 0), out)

    def test_a_gap_that_nothing_opened_is_found_also_beside_damage(self) -> None:
        maker = Maker()
        closing = {"group": "", "resource": "pods", "from": START, "to": START + 5, "cause": "expired", "opened": 1}
        slots = {1: maker.segment([]), 2: maker.segment([rec(1, "H")]), 3: maker.segment([rec(2, "H")]), 4: maker.segment([rec(3, "G", gap=closing)])}
        write_archive(self.path, {**slots, 3: slots[3][:-1]})
        out = run("verify", self.path)[1]
        self.assertIn("E_LINE 4 -: seq 3 closes gap 1", out)
        write_archive(self.path + "b", {**slots, 2: slots[2][:-1]})
        self.assertNotIn("E_LINE", run("verify", self.path + "b")[1])

    def test_an_archive_without_segments_is_whole_and_has_no_state(self) -> None:
        write_archive(self.path, {})
        self.assertEqual(run("verify", self.path)[0], 0)
        self.assertEqual(run("log", self.path), (0, "", ""))
        self.assertEqual(run("dump", self.path, "--at", "latest")[0], 1)

    def test_log_prints_exactly_the_agreed_members(self) -> None:
        write_archive(self.path, history())
        code, out, _ = run("log", self.path)
        self.assertEqual(code, 0)
        lines = [json.loads(line) for line in out.splitlines()]
        self.assertEqual([line["seq"] for line in lines], list(range(1, 13)))
        self.assertEqual(lines[1], {
            "seq": 2, "t": "2023-11-14T22:13:20.002000Z", "lo": None, "op": "M", "group": "kubevirt.io", "kind": "VirtualMachine", "namespace": "ns",
            "name": "vm", "uid": "u1", "resourceVersion": "2", "inferred": False, "era": 1, "fromSeq": None,
            "contentId": "sha256:" + hashlib.sha256(obj("vm", "2", extra=',"spec":{"running":true,"x":1.0}').encode()).hexdigest()})
        self.assertEqual((lines[7]["inferred"], lines[7]["lo"], lines[7]["contentId"]), (True, "2023-11-14T22:13:20.005500Z", None))
        self.assertEqual((lines[2]["resourceVersion"], lines[9]["fromSeq"]), ("77", 2))
        self.assertEqual((lines[10]["gap"]["opened"], lines[10]["name"], lines[11]["kind"]), (7, None, None))
        self.assertNotIn("gap", lines[11])

    def test_state_follows_deletions_successors_and_back_dated_records(self) -> None:
        write_archive(self.path, history())
        self.assertEqual(self.names("seq:1"), [("vm", 1)])
        self.assertEqual(self.names("seq:2"), [("old", 10), ("vm", 2)])
        self.assertEqual(self.names("2023-11-14T22:13:20.004999Z"), [("old", 10), ("vm", 2)])
        self.assertEqual(self.names("2023-11-15T00:13:20.005+02:00"), [("old", 10)])
        self.assertEqual(self.names("seq:8"), [("old", 10), ("vm", 6)])
        self.assertEqual(self.names("latest"), [("late", 9), ("old", 10), ("vm", 6)])
        _, out, _ = run("dump", self.path, "--at", "seq:2")
        self.assertIn(',"object":' + obj("vm", "2", extra=',"spec":{"running":true,"x":1.0}') + "}\n", out)
        for at in ("2000-01-01T00:00:00Z", "seq:0", "seq:13", "yesterday", "2023-13-01T00:00:00Z"):
            self.assertEqual(run("dump", self.path, "--at", at)[:2], (1, ""), at)

    def test_state_is_that_of_the_definition_for_random_histories(self) -> None:
        """ordering.md 4.1 word by word, with all records in memory, against the three passes of the reader."""
        effects = {"A": "present", "M": "present", "S": "present", "W": "withheld", "N": "absent"}
        for seed in range(25):
            dice, maker, records = random.Random(seed), Maker(), []
            segments = {1: maker.segment([])}
            for slot in range(2, 6):
                lines = []
                for _ in range(dice.randrange(1, 8)):
                    seq, op, name, uid = len(records) + 1, dice.choice("AMSWNDXDX"), dice.choice("ab"), dice.choice(("u1", "u2"))
                    uid = "" if op == "N" else uid
                    more: Dict[str, Any] = {"reason": "r"} if op in "WX" else {}
                    if op in "AMSN" and seq > 1 and dice.random() < 0.4:
                        more["from_"] = dice.randrange(1, seq)
                    if op == "W":
                        more["rv"] = str(seq)
                    lines.append(rec(seq, op, name, uid, obj(name, str(seq), uid) if op in "AMS" else None, **more))
                    records.append((more.get("from_", seq), seq, op, name, uid))
                segments[slot] = maker.segment(lines)
            self.path += "x"
            write_archive(self.path, segments)
            for at in range(1, len(records) + 1):
                state: Dict[str, Tuple[str, int, str]] = {}
                for counts, seq, op, name, uid in sorted(records):
                    if counts > at:
                        continue
                    if op in effects:
                        state[name] = (effects[op], seq, uid)
                    elif name in state and state[name][2] == uid:
                        del state[name]
                code, out, err = run("dump", self.path, "--at", f"seq:{at}", "--explain")
                self.assertEqual(code, 0, err)
                facts = json.loads(err)
                found = {("present", line["name"], line["seq"]) for line in map(json.loads, out.splitlines())}
                found |= {(kind, item["name"], item["seq"]) for kind in ("withheld", "absent") for item in facts[kind]}
                self.assertEqual(found, {(what, name, seq) for name, (what, seq, _) in state.items()}, (seed, at))

    def test_what_is_uncertain_is_said(self) -> None:
        write_archive(self.path, history())

        def explain(at: str) -> Dict[str, Any]:
            return json.loads(run("dump", self.path, "--at", at, "--explain")[2])

        at_eight = explain("seq:8")
        self.assertEqual([(gap["seq"], gap["to"]) for gap in at_eight["gaps"]], [(7, "2023-11-14T22:13:20.008500Z")])
        self.assertEqual([item["seq"] for item in at_eight["late"]], [9])
        self.assertEqual([item["name"] for item in at_eight["absent"]], ["gone"])
        self.assertEqual([item["name"] for item in at_eight["withheld"]], ["secret"])
        self.assertEqual([resource["proven"] for resource in at_eight["resources"]], [False])
        self.assertEqual([resource["proven"] for resource in explain("seq:6")["resources"]], [True])
        self.assertEqual([resource["proven"] for resource in explain("2030-01-01T00:00:00Z")["resources"]], [False])
        self.assertEqual(explain("latest")["gaps"], [])
        self.assertIn("withheld: ", run("dump", self.path, "--at", "latest")[2])

    def test_damage_is_named_stops_answers_and_can_be_passed_over_openly(self) -> None:
        segments = history()
        broken = bytearray(segments[2])
        broken[len(broken) - 400] ^= 1
        broken[0] ^= 1
        write_archive(self.path, {**segments, 2: bytes(broken)})
        code, out, _ = run("verify", self.path)
        self.assertEqual(code, 7)
        self.assertRegex(out, r"(?m)^E_BODY_HASH 2 0: .*intact for seqs 3 to 4; damaged for 1 to 2")
        self.assertIn("not readable: seqs 1 to 4", out)
        self.assertIn("readable: seqs 5 to 12", out)
        for command in (["log", self.path], ["dump", self.path, "--at", "latest"]):
            code, out, err = run(*command)
            self.assertEqual((code, out, err[:11]), (7, "", "E_BODY_HASH"), command)
            code, out, err = run(*command, "--keep-going")
            self.assertEqual(code, 7)
            self.assertIn("problem: E_BODY_HASH 2", err)
            self.assertIn('"seq":6', out)

    def test_an_instant_before_the_damage_is_answered_and_the_damage_is_named_beside_it(self) -> None:
        segments = history()
        write_archive(self.path, segments)
        before = run("dump", self.path, "--at", "seq:4")
        self.assertEqual(before[0], 0)
        for damaged in (b"", segments[4][:-1], segments[4][:9] + b"!" + segments[4][10:]):
            with open(self.slot(4), "wb") as file:
                file.write(damaged)
            code, out, err = run("dump", self.path, "--at", "seq:4")
            self.assertEqual((code, out), before[:2])
            self.assertRegex(err, r"problem: E_\w+ 4 ")
            self.assertEqual(run("dump", self.path, "--at", "latest")[0], 7)
            self.assertEqual(run("dump", self.path, "--at", "latest", "--keep-going")[0], 7)

    def test_missing_foreign_and_misnamed_segments_are_found(self) -> None:
        segments = history()
        cases = [({s: d for s, d in segments.items() if s != 3}, "E_MISSING 3"), ({s: d for s, d in segments.items() if s != 1}, "E_MISSING 1"),
                 ({**segments, 1 << 62: b""}, f"E_MISSING 6 -: slots 6 to {(1 << 62) - 1}"), ({**segments, 3: segments[2]}, "E_NAME 3"),
                 ({**segments, 5: segments[5][:100]}, "E_TRUNCATED 5")]
        for number, (content, expected) in enumerate(cases):
            self.path += str(number)
            write_archive(self.path, content)
            code, out, _ = run("verify", self.path)
            self.assertEqual(code, 7)
            self.assertIn(expected, out)

    def test_a_first_segment_that_is_no_fence_is_found(self) -> None:
        maker = Maker()
        maker.epoch = 1
        write_archive(self.path, {1: maker.segment([rec(1, "H")], fence=False)})
        self.assertIn("E_EPOCH 1 ", run("verify", self.path)[1])

    def test_log_names_an_object_without_resource_version_and_goes_on(self) -> None:
        maker = Maker()
        write_archive(self.path, {1: maker.segment([]), 2: maker.segment([rec(1, "A", body='{"metadata":{}}'), rec(2, "A", body="{}"), rec(3, "H")])})
        code, out, err = run("log", self.path)
        self.assertEqual((code, out.count("\n"), err.count("problem: E_OBJECT 2 -: ")), (7, 3, 2))

    def test_what_is_not_a_file_is_not_waited_for(self) -> None:
        write_archive(self.path, history())
        os.mkfifo(self.slot(6))
        os.symlink("/dev/zero", self.slot(7))
        os.symlink("nowhere", self.slot(8))
        with open(self.slot(9), "wb") as file:
            file.truncate(1 << 40)
        os.mkdir(self.slot(10))
        code, out, _ = run("verify", self.path)
        self.assertEqual(code, 7)
        for expected in ("E_IO 6 ", "E_IO 7 ", "E_IO 8 ", "E_TOO_LARGE 9 ", "E_IO 10 "):
            self.assertIn(expected, out)

    def test_identities_give_their_codes(self) -> None:
        def identity(**changes: Any) -> bytes:
            return compact({key: value for key, value in {**IDENTITY, **changes}.items() if value is not None}).encode() + b"\n"

        cases = [
            ("ok", identity()), ("ok", identity(more=1)), ("ok", identity(features={"read": [], "write": ["x"], "maintain": ["y"]})),
            ("E_IDENTITY", identity()[:-1]), ("E_IDENTITY", b'{"hash":"md5",' + identity()[1:]), ("E_IDENTITY", identity()[:-1] + b" "), ("E_IDENTITY", identity() + b"\n"), ("E_IDENTITY", b"\xff\n"), ("E_IDENTITY", b"[" * 60000 + b"\n"), ("E_IDENTITY", b""),
            ("E_IDENTITY", identity(archive="A" + ARCHIVE[1:])), ("E_IDENTITY", identity(cluster="")), ("E_IDENTITY", identity(created="now")),
            ("E_IDENTITY", identity(created="2026-01-02T03:04:05+02:00")), ("E_IDENTITY", identity(format={"major": 0, "minor": True})), ("E_IDENTITY", identity(features=[])),
            ("E_IDENTITY", identity(software=None)), ("E_VERSION", identity(format={"major": 0, "minor": 2})), ("E_FEATURE", identity(hash="md5")),
            ("E_FEATURE", identity(encryption="pgp")), ("ok", identity(encryption="age")), ("E_FEATURE", identity(features={"read": ["x"], "write": [], "maintain": []})),
            ("E_TOO_LARGE", identity(more="x" * 70000))]
        for expected, data in cases:
            try:
                reader.read_identity(data)
                got = "ok"
            except reader.Problem as problem:
                got = problem.code
            self.assertEqual(got, expected, data[:300])
        write_archive(self.path, history(), identity(format={"major": 0, "minor": 2}))
        self.assertEqual(run("verify", self.path)[0], 7)
        self.assertEqual(run("log", self.path)[0], 7)

    def test_an_archive_without_identity_still_tells_what_is_readable(self) -> None:
        write_archive(self.path, history())
        os.remove(os.path.join(self.path, "archive.json"))
        code, out, _ = run("verify", self.path)
        self.assertEqual(code, 7)
        self.assertIn("E_IDENTITY - -: ", out)
        self.assertIn("readable: seqs 1 to 12", out)

    def test_what_is_no_manifest_below_man_is_passed_over_and_found_by_a_check(self) -> None:
        write_archive(self.path, history())
        os.makedirs(os.path.join(self.path, "man", "x"))
        with open(os.path.join(self.path, "man", "0000000000000001#3"), "wb"):
            pass
        code, out, _ = run("verify", self.path)
        self.assertEqual((code, out.count("E_NAME - -: 'x' in man is not the name of a manifest")), (7, 1), out)
        self.assertEqual(run("log", self.path)[0], 0)

    def test_vectors_are_compared_by_code_and_by_digest(self) -> None:
        import base64
        os.makedirs(self.path)

        def vector(file_name: str, data: bytes, **headers: str) -> None:
            with open(os.path.join(self.path, file_name), "wb") as file:
                file.write("".join(f"{key}: {value}\n" for key, value in headers.items()).encode() + b"\n" + base64.encodebytes(data))

        self.assertEqual(run("vectors", self.path)[0], 7)
        maker = Maker()
        fence, data = maker.segment([]), maker.segment([rec(1, "A", body=obj("other"))])
        common = {"object": "segment", "archive": ARCHIVE}
        vector("a.txt", fence, **common, slot="1", expect="ok", records="0", sha256=sha(fence).hex())
        vector("b.txt", data, **common, slot="2", expect="E_KEY", deep="yes", follows="a.txt")
        vector("c.txt", compact(IDENTITY).encode() + b"\n", object="identity", expect="ok")
        self.assertEqual(run("vectors", self.path)[:2], (0, "3 of 3 vectors as expected\n"))
        vector("d.txt", data, **common, slot="2", expect="ok")
        vector("e.txt", fence, **common, slot="1", expect="ok", records="1")
        vector("f.txt", fence, **common, slot="1", expect="E_ROOT")
        vector("g.txt", fence, **common, slot="one", expect="ok")
        code, out, _ = run("vectors", self.path)
        self.assertEqual((code, out.count("FAILED")), (7, 4))

        self.path += "b"
        os.makedirs(self.path)
        window, bundles = roll(history(), 2, 3)
        several, parts = roll(history(), 2, 3, parts=2)
        data, second = next(iter(bundles.values())), parts[several["parts"][1]["sha256"]]
        bundle = {"object": "bundle", "archive": ARCHIVE, "window": compact(window), "part": "1"}
        vector("a.txt", data, **bundle, expect="ok", records="9", root=window["root"], sha256=sha(data).hex(), name="hist/" + sha(data).hex())
        vector("b.txt", data, **bundle, expect="E_NAME", name="hist/" + "0" * 64)
        vector("c.txt", second, **{**bundle, "window": compact(several), "part": "2"}, expect="ok", records="4")
        vector("d.txt", second, **{**bundle, "window": compact(several), "part": "1"}, expect="E_COUNT")
        vector("e.txt", data[:-1], **bundle, expect="E_FOOTER_MAGIC")
        wrong = Maker()
        segments = {1: wrong.segment([]), 2: wrong.segment([rec(1, "A", body=obj("other"))])}
        key, more = roll(segments, 1, 2)
        vector("f.txt", next(iter(more.values())), **{**bundle, "window": compact(key)}, expect="E_KEY", deep="yes")
        first = manifest(1, None, [window])
        common = {"object": "manifest", "archive": ARCHIVE}
        vector("g.txt", first, **common, n="1", expect="ok")
        vector("h.txt", manifest(2, first, [window]), **common, n="2", follows="g.txt", expect="ok")
        vector("i.txt", manifest(2, first, []), **common, n="2", follows="g.txt", expect="E_MANIFEST")
        vector("j.txt", manifest(2, first, []), **common, n="2", expect="ok")
        vector("k.txt", manifest(1, first, []), **common, n="1", expect="E_CHAIN")
        self.assertEqual(run("vectors", self.path)[:2], (0, "11 of 11 vectors as expected\n"))
        vector("l.txt", data, **bundle, expect="ok", content="0")
        vector("m.txt", data, **bundle, expect="E_COUNT")
        vector("n.txt", data, **{**bundle, "part": "2"}, expect="ok")
        vector("o.txt", data, **{**bundle, "window": "{}"}, expect="ok")
        vector("p.txt", data, **{**bundle, "part": "0"}, expect="ok")
        code, out, _ = run("vectors", self.path)
        self.assertEqual((code, out.count("FAILED")), (7, 5), out)

    def test_the_tool_ends_quietly_when_nobody_reads_on(self) -> None:
        maker = Maker()
        write_archive(self.path, {1: maker.segment([]), 2: maker.segment([rec(seq, "H") for seq in range(1, 3000)])})
        process = subprocess.Popen([sys.executable, reader.__file__, "log", self.path], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        assert process.stdout is not None and process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        errors = process.stderr.read()
        process.stderr.close()
        process.wait(60)
        self.assertEqual(errors, b"")


def busy() -> Dict[int, bytes]:
    """Seven slots with all that a window must carry: two fences, gaps, heartbeats, a home that is empty, odd ones, one that changes, lines
    that are passed over, with and without a key, U+0000 in an object, and an object that changes all the time."""
    maker = Maker()
    gap = {"group": "kubevirt.io", "resource": "virtualmachines", "from": START + 2500, "cause": "expired"}

    def key(home: str, name: str, kind: str = "VirtualMachine", uid: str = "u1") -> List[str]:
        return [home, "ns", name, "kubevirt.io", kind, uid]

    return {
        1: maker.segment([], [entry(None, group="", resource="pods", kind="Pod"), entry(None)]),
        2: maker.segment([
            rec(1, "S", "busy", body=obj("busy", "1")), rec(2, "S", "a", body=obj("a", "1"), k=key("", "a")),
            rec(3, "G", gap=gap), rec(4, "H"), rec(5, "S", "é", body=obj("é", "1"), k=key("ns/é /\\_x", "é")),
            compact({"seq": 6, "t": START + 6000, "op": "Z", "skip": 1}), rec(7, "Z", skip=1, k=key("ns/z", "z"))], [entry(START + 2000)]),
        3: maker.segment([rec(seq, "M", "busy", body=obj("busy", str(seq), extra=',"x":"\\u0000"')) for seq in range(8, 30)], [entry(START + 29000)], cuts=3),
        4: maker.segment([], [entry(START, resource="other", scope="b"), entry(None, rv="30")]),
        5: maker.segment([
            rec(30, "M", "a", body=obj("a", "2"), k=key("ns/moved", "a")), rec(31, "M", "busy", body=obj("busy", "31"), lo=START + 3500),
            rec(32, "S", "late", body=obj("late", "2"), from_=5), rec(33, "D", "a", k=key("", "a")), rec(34, "G", gap={**gap, "to": START + 9000, "opened": 3}),
            rec(35, "A", "a", "u2", body=obj("a", "7", "u2"), k=key("ns/moved", "a", uid="u2")), rec(36, "X", "é", k=key("ns/é /\\_x", "é"), reason="left")],
            [entry(START + 36000)]),
        6: maker.segment([rec(37, "N", "gone", uid="", from_=2), rec(38, "W", "busy", rv="99", reason="policy"), rec(39, "H")], [entry(START + 39000)]),
        7: maker.segment([rec(40, "M", "busy", body=obj("busy", "100")), rec(41, "H")], [entry(START + 41000)]),
    }


def still() -> Dict[int, bytes]:
    """As `busy`, but homes stay as they are."""
    segments, maker = busy(), Maker()
    again: Dict[int, bytes] = {}
    for slot, data in segments.items():
        read = reader.read_segment(data, ARCHIVE, slot)
        lines = [(line.head_bytes + (b',"obj":' + line.obj + b"}" if line.obj is not None else b"")).decode().replace('"ns/moved"', '""') for line in read.lines()]
        again[slot] = maker.segment(lines, list(read.public.entries.values()), read.public.complete)
    return again


class Windows(unittest.TestCase):
    def setUp(self) -> None:
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.path = os.path.join(temporary.name, "a")

    def same(self, ats: List[str], *more: str) -> None:
        """What is read through windows is what the log alone says."""
        for command in (["log", self.path], *(["dump", self.path, "--at", at, "--explain"] for at in ats)):
            log = run(*command, *more, "--log-only")
            self.assertEqual(run(*command, *more), log, command)

    def test_windows_of_every_shape_are_whole_and_read_like_the_log(self) -> None:
        segments = busy()
        ats = [f"seq:{seq}" for seq in (1, 2, 4, 5, 9, 29, 30, 31, 33, 34, 36, 38, 41)] + ["latest", "2023-11-14T22:13:20.003600Z", "2030-01-01T00:00:00Z"]
        shapes: List[List[Tuple[int, int, Dict[str, Any]]]] = [
            [(1, 6, {})], [(1, 6, {"parts": 3})], [(1, 6, {"parts": 41})], [(2, 5, {"per_frame": 5, "per_member": 4, "parts": 2})],
            [(1, 2, {"level": 1}), (3, 3, {"level": 4, "per_member": 2, "per_frame": 3}), (5, 6, {"level": 3})], [(3, 5, {"per_member": 1, "per_frame": 1, "alone": True, "parts": 2})],
            [(2, 3, {}), (5, 6, {"per_frame": 1})], [(1, 4, {}), (5, 6, {"parts": 2})]]
        for number, shape in enumerate(shapes):
            self.path = self.path + str(number)
            write_archive(self.path, segments)
            rolled = [roll(segments, first, last, **more) for first, last, more in shape]
            write_history(self.path, [manifest(1, None, [window for window, _ in rolled])], *(bundles for _, bundles in rolled))
            code, out, _ = run("verify", self.path)
            self.assertEqual((code, out.count("note: ")), (0, 0), out)
            self.assertIn(f"readable: {len(shape)} of {len(shape)} windows of manifest 1\n", out)
            self.same(ats)

    def test_a_window_is_read_in_place_of_segments_that_are_damaged_or_gone(self) -> None:
        segments = busy()
        window, bundles = roll(segments, 2, 5, parts=2, per_frame=3)
        write_archive(self.path, {slot: data for slot, data in segments.items() if slot != 3})
        write_history(self.path, [manifest(1, None, [window])], bundles)
        good = self.path + "good"
        write_archive(good, segments)
        self.assertEqual(run("log", self.path), run("log", good))
        for at in ("seq:20", "latest"):
            self.assertEqual(run("dump", self.path, "--at", at), run("dump", good, "--at", at))
        code, out, _ = run("verify", self.path)
        self.assertEqual((code, out.count("E_")), (7, 1), out)
        self.assertIn("E_MISSING 3 -: ", out)
        self.assertIn("readable: seqs 1 to 41, 2023-11-14T22:13:20.001000Z to 2023-11-14T22:13:20.041000Z\n1 problem(s)", out)
        self.assertIn("note: the window of slots 2 to 5 was not compared with its segments", out)

    def test_a_bundle_that_is_damaged_or_missing_is_reported_and_its_segments_are_read(self) -> None:
        segments = busy()
        window, bundles = roll(segments, 1, 6, parts=3)
        write_archive(self.path, segments)
        write_history(self.path, [manifest(1, None, [window])], bundles)
        expected = run("log", self.path), run("dump", self.path, "--at", "latest")
        for part, damage, code in ((0, None, "E_MISSING"), (1, lambda data: b"x" + data[1:], "E_BODY_HASH"), (2, lambda data: data[:-1], "E_FOOTER_MAGIC")):
            name = window["parts"][part]["sha256"]
            place = os.path.join(self.path, "hist", name)
            os.remove(place)
            if damage:
                write_history(self.path, [], {name: damage(bundles[name])})
            for command, (_, out, err) in zip((["log", self.path], ["dump", self.path, "--at", "latest"]), expected):
                got = run(*command)
                self.assertEqual(got[:2], (0, out))
                self.assertEqual(got[2], f"note: the window of slots 1 to 6 is read from its segments: {code} hist/{name} " + got[2].partition(name + " ")[2])
                self.assertEqual(got[2].count("\n"), err.count("\n") + 1)
            facts = json.loads(run("dump", self.path, "--at", "latest", "--explain")[2])
            self.assertEqual(len(facts["notes"]), 1)
            status, out, _ = run("verify", self.path)
            self.assertEqual((status, out.count(f"{code} hist/{name} "), out.count("E_")), (7, 1, 1), out)
            write_history(self.path, [], bundles)
        damaged = [part["sha256"] for part in window["parts"][1:]]
        write_history(self.path, [], {name: b"x" + bundles[name][1:] for name in damaged})
        out = run("verify", self.path)[1]
        self.assertEqual([line.split()[1] for line in out.splitlines() if line.startswith("E_")], ["hist/" + name for name in damaged])

    def test_a_window_that_needs_many_passes_reads_the_same(self) -> None:
        segments = busy()
        window, bundles = roll(segments, 1, 6, parts=2, per_member=3, per_frame=4)
        write_archive(self.path, segments)
        write_history(self.path, [manifest(1, None, [window])], bundles)
        limits = reader.LEAVES_AT_ONCE, reader.HELD_AT_ONCE
        try:
            reader.LEAVES_AT_ONCE, reader.HELD_AT_ONCE = 7, 2000
            self.assertEqual(run("verify", self.path)[0], 0)
            self.same(["seq:33", "latest"])
        finally:
            reader.LEAVES_AT_ONCE, reader.HELD_AT_ONCE = limits

    def test_windows_of_random_histories_read_like_the_log(self) -> None:
        for seed in range(14):
            dice, maker, records = random.Random(seed), Maker(), 0
            segments = {1: maker.segment([], [entry(None)])}
            for slot in range(2, 9):
                lines: List[str] = []
                for _ in range(dice.randrange(0, 7)):
                    records += 1
                    op, name, uid = dice.choice("AMSWNDXGHZ"), dice.choice("abé"), dice.choice(("u1", "u2"))
                    more: Dict[str, Any] = {"reason": "r"} if op in "WX" else {}
                    if op == "G":
                        start = START + dice.randrange(records) * 1000
                        more["gap"] = {"group": "kubevirt.io", "resource": "virtualmachines", "from": start, "cause": "stalled"}
                        if dice.random() < 0.6 and records > 1:
                            more["gap"].update(to=start + dice.randrange(9) * 1000, opened=dice.randrange(1, records))
                    elif op != "H":
                        uid = "" if op == "N" else uid
                        home = dice.choice(("", "ns/a", "ns/b")) if seed % 2 else "ns/" + name
                        more["k"] = [home, "ns", name, "kubevirt.io", "VirtualMachine", uid]
                    if op in "AMSN" and records > 1 and dice.random() < 0.4:
                        more["from_"] = dice.randrange(1, records)
                    if dice.random() < 0.2:
                        more["lo"] = START + dice.randrange(records) * 1000
                    more.update({"rv": str(records)} if op == "W" else {"skip": 1} if op == "Z" else {})
                    lines.append(rec(records, op, name, uid, obj(name, str(records), uid) if op in "AMS" else None, **more))
                proofs = [entry(START + records * 1000, resource=name) for name in ("other", "virtualmachines") if not lines or dice.random() < 0.5]
                segments[slot] = maker.segment(lines, proofs, cuts=dice.randrange(1, 3))
            rolled, slot = [], 1
            while slot < 8:
                end = dice.randrange(slot, 8)
                if reader.read_footer(segments[end], len(segments[end]), ARCHIVE, end).last_seq >= reader.read_footer(segments[slot], len(segments[slot]), ARCHIVE, slot).first_seq:
                    rolled.append(roll(segments, slot, end, dice.randrange(1, 5), dice.randrange(1, 4), dice.randrange(1, 5), dice.randrange(1, 9)))
                slot = end + dice.randrange(1, 3)
            self.path += "x"
            write_archive(self.path, segments)
            write_history(self.path, [manifest(1, None, [window for window, _ in rolled])], *(bundles for _, bundles in rolled))
            out = run("verify", self.path)[1]
            self.assertRegex(out, f"readable: {len(rolled)} of {len(rolled)} windows")
            self.assertEqual(out.count("\nE_"), out.count("\nE_LINE"), (seed, out))  # gaps are closed that nothing opened
            self.same([f"seq:{seq}" for seq in range(1, records + 1)] + ["2023-11-14T22:13:20.006500Z"])

    def test_a_damaged_segment_makes_a_hole_between_windows(self) -> None:
        segments = busy()
        damaged = segments[4][:9] + b"!" + segments[4][10:]  # its footer and its resume map can be read
        hidden = segments[4][:-1]
        for number, (data, compared) in enumerate(((damaged, True), (hidden, False))):
            now = {**segments, 4: data}
            rolled = [roll(now, 1, 3), roll(now, 5, 6, parts=2)]
            self.path += str(number)
            write_archive(self.path, now)
            write_history(self.path, [manifest(1, None, [window for window, _ in rolled])], *(bundles for _, bundles in rolled))
            code, out, _ = run("verify", self.path)
            self.assertEqual((code, out.count("\nE_"), out.count(" 4 ")), (7, 1, 1), out)
            self.assertEqual(out.count("note: entries of the window of slots 5 to 6 were not compared"), 0 if compared else 1, out)
            self.assertEqual(run("dump", self.path, "--at", "latest")[0], 7)
            self.same(["seq:20", "seq:31", "latest"], "--keep-going")

    def test_a_window_in_front_of_a_fence_that_begins_anew_and_one_behind_it_follow_each_other(self) -> None:
        maker = Maker()
        segments = {1: maker.segment([]), 2: maker.segment([rec(1, "H")])}
        maker.previous, maker.seq, maker.epoch = bytes(32), 9, 4
        segments.update({3: maker.segment([]), 4: maker.segment([rec(10, "H")]), 5: maker.segment([rec(11, "H")])})
        rolled = [roll(segments, 1, 2), roll(segments, 3, 4)]
        write_archive(self.path, segments)
        write_history(self.path, [manifest(1, None, [window for window, _ in rolled])], *(bundles for _, bundles in rolled))
        self.assertEqual(run("verify", self.path)[0], 0)
        self.same(["latest"])

    def test_a_window_is_not_used_behind_a_gap_that_passes_over_one_of_its_slots(self) -> None:
        def gap(seq: int, **more: Any) -> str:
            return rec(seq, "G", gap={"group": "kubevirt.io", "resource": "virtualmachines", "from": START, "cause": "damage", "detail": "segments 1-2,3", **more})

        maker = Maker()
        segments = {
            1: maker.segment([], [entry(START)]), 2: maker.segment([rec(1, "S", "vm", body=obj("vm", "1"))], [entry(START + 1000)]),
            3: maker.segment([rec(2, "S", "ghost", body=obj("ghost", "2"))], [entry(START + 2000)]), 4: maker.segment([rec(3, "H")], [entry(START + 3000)]),
            5: maker.segment([], [entry(START + 3000)]), 6: maker.segment([gap(4), gap(5, to=START + 4000, opened=4)], [entry(START + 5000)]),
            7: maker.segment([rec(6, "H")], [entry(START + 6000)])}
        window, bundles = roll(segments, 1, 4)
        write_archive(self.path, {**segments, 3: b"x"})
        write_history(self.path, [manifest(1, None, [window])], bundles)
        for at in ("latest", "seq:5", "seq:4"):
            log = run("dump", self.path, "--at", at, "--log-only")
            self.assertEqual((run("dump", self.path, "--at", at), log[0]), (log, 7), at)
        code, out, _ = run("dump", self.path, "--at", "seq:3")
        self.assertEqual((code, sum("ghost" in line for line in out.splitlines())), (0, 1), "it was there, and the window holds it")

    def test_before_what_was_cut_off_behind_the_windows_everything_can_be_read(self) -> None:
        segments = busy()
        window, bundles = roll(segments, 2, 6)
        write_archive(self.path, {slot: data for slot, data in segments.items() if slot <= 3})
        whole = self.path + "-whole"
        write_archive(whole, segments)
        write_history(self.path, [manifest(1, None, [window])], bundles)
        for at in ("seq:2", "seq:31", "seq:39"):
            self.assertEqual(run("dump", self.path, "--at", at)[:2], run("dump", whole, "--at", at)[:2], at)
        self.assertEqual(run("dump", self.path, "--at", "latest")[0], 7)

    def test_of_a_stale_window_the_segments_say_what_is_known_of_the_resources(self) -> None:
        segments = busy()
        stale, bundles = roll(segments, 1, 6, entries=lambda entries: [])
        for told in ({}, {"stale": True}):
            self.path += "x"
            write_archive(self.path, segments)
            write_history(self.path, [manifest(1, None, [{**stale, **told}])], bundles)
            log = run("dump", self.path, "--at", "latest", "--explain", "--log-only")
            self.assertEqual(run("dump", self.path, "--at", "latest", "--explain") == log, bool(told))

    def test_whatever_is_damaged_an_answer_is_the_right_one_or_none(self) -> None:
        """One to three objects of an archive are damaged, cut or gone: what log and dump answer with 0 is what they answered before, and a check
        finds it, unless it took the newest manifest, which nothing names, or nothing but words of it."""
        segments = busy()
        small, large = roll(segments, 2, 3, 1), roll(segments, 1, 6, parts=2, per_frame=6, per_member=5)
        first = manifest(1, None, [small[0]])
        write_archive(self.path, segments)
        write_history(self.path, [first, manifest(2, first, [large[0]])], large[1])
        newest = os.path.join(self.path, "man", f"{2:016x}")
        objects = [os.path.join(directory, name) for directory, _, names in sorted(os.walk(self.path)) for name in sorted(names)]
        questions = ["log", self.path], ["dump", self.path, "--at", "seq:31"]
        right = [run(*question) for question in questions]
        dice, answered = random.Random(17), 0
        for _ in range(120):
            kept: Dict[str, bytes] = {}
            for path in dice.sample(objects, dice.choice((1, 1, 2, 3))):
                with open(path, "rb") as file:
                    kept[path] = file.read()
                changed = bytearray(kept[path])
                changed[dice.randrange(len(changed))] ^= 1 << dice.randrange(8)
                with open(path, "wb") as file:
                    file.write(changed if dice.random() < 0.8 else changed[:dice.randrange(len(changed))])
                if dice.random() < 0.1:
                    os.remove(path)
            for question, (_, out, _) in zip(questions, right):
                code, got, _ = run(*question)
                self.assertIn(code, (0, 1, 7))
                self.assertTrue(got == out if code == 0 else out.startswith(got), (question, kept.keys()))
                answered += code == 0
            if os.path.exists(newest) and any("archive.json" not in path and path != newest for path in kept):
                self.assertEqual(run("verify", self.path)[0], 7, kept.keys())
            for path, data in kept.items():
                with open(path, "wb") as file:
                    file.write(data)
        self.assertTrue(50 < answered < 200, answered)

    def test_a_gap_that_turns_out_to_begin_later_is_not_missed(self) -> None:
        gap = {"group": "kubevirt.io", "resource": "virtualmachines", "cause": "expired"}
        maker = Maker()
        segments = {1: maker.segment([]), 2: maker.segment([rec(1, "G", gap={**gap, "from": START + 500}), rec(2, "H")]),
                    3: maker.segment([rec(3, "H")]), 4: maker.segment([rec(4, "G", gap={**gap, "from": START + 2500, "to": START + 3500, "opened": 1})]),
                    5: maker.segment([rec(5, "H")])}
        rolled = [roll(segments, slot, slot) for slot in (2, 3, 4)]
        write_archive(self.path, segments)
        write_history(self.path, [manifest(1, None, [window for window, _ in rolled])], *(bundles for _, bundles in rolled))
        self.same(["seq:2", "seq:3"])
        self.assertEqual(json.loads(run("dump", self.path, "--at", "seq:2", "--explain")[2])["gaps"], [])

    def test_windows_that_cannot_matter_are_not_read_for_an_instant_before_them(self) -> None:
        segments = busy()
        window, bundles = roll(segments, 7, 7)
        maker = Maker()
        maker.slot, maker.seq, maker.epoch, maker.previous, maker.nonce = 7, 41, 2, sha(segments[7]), sha(b"2")[:16]
        write_archive(self.path, {**segments, 8: maker.segment([rec(42, "H")])})
        write_history(self.path, [manifest(1, None, [window])], bundles)
        read: List[int] = []
        lines = reader.Rolled.lines

        def noted(self: Any, wanted: Any, flags: int = 0) -> Any:
            read.append(self.window.first_slot)
            return lines(self, wanted, flags)

        try:
            reader.Rolled.lines = noted  # type: ignore[method-assign]
            self.names = run("dump", self.path, "--at", "seq:20")
            self.assertEqual((self.names[0], read), (0, []))
            run("dump", self.path, "--at", "seq:40")
            self.assertEqual(set(read), {7})
        finally:
            reader.Rolled.lines = lines  # type: ignore[method-assign]

    def test_a_log_that_ends_before_its_windows_is_found(self) -> None:
        segments = busy()
        window, bundles = roll(segments, 1, 6)
        for last in (6, 3):
            self.path += str(last)
            write_archive(self.path, {slot: data for slot, data in segments.items() if slot <= last})
            write_history(self.path, [manifest(1, None, [window])], bundles)
            self.assertEqual(run("verify", self.path)[1].count("E_MISSING 7 -: "), 1)
            self.assertRegex(run("log", self.path)[2], "^E_MISSING 7 ")
            code, out, err = run("dump", self.path, "--at", "latest", "--keep-going")
            self.assertEqual((code, err.count("problem: E_MISSING")), (7, 1))
            self.assertEqual(run("log", self.path, "--log-only")[0], 0)

    def test_the_newest_manifest_decides_and_is_never_passed_over_in_silence(self) -> None:
        segments = busy()
        small, large = [roll(segments, 2, 3, 1), roll(segments, 5, 5, 1)], roll(segments, 1, 6)
        first = manifest(1, None, [window for window, _ in small])
        second = manifest(2, first, [large[0]])
        write_archive(self.path, segments)
        write_history(self.path, [first, second], small[0][1], large[1])  # that of the other small window was not kept
        write_history(self.path, [], {"0" * 64: b"x", "0" * 63: b"y", "1" * 64 + "#2": b"z"})
        code, out, _ = run("verify", self.path)
        self.assertEqual((code, out.count("note: ")), (0, 2), out)
        self.assertIn("note: hist/" + "0" * 64 + " is named by no manifest", out)
        self.assertIn("note: hist/'" + "0" * 63 + "' is not known", out)
        log = run("log", self.path, "--log-only")
        self.assertEqual(run("log", self.path), log)
        for number, (name, data, code_found) in enumerate(((2, second[:-1], "E_MANIFEST"), (2, first, "E_NAME"), (2, second.replace(b"0.2", b"0.4"), "E_VERSION"))):
            with open(os.path.join(self.path, "man", f"{name:016x}"), "wb") as file:
                file.write(data)
            place = f"{code_found} man/0000000000000002 -: "
            self.assertRegex(run("log", self.path)[2], "^" + place)
            code, out, err = run("log", self.path, "--keep-going")
            self.assertEqual((code, out, err.count("problem: " + place)), (7, log[1], 1), number)
            code, out, err = run("dump", self.path, "--at", "latest", "--keep-going")
            self.assertEqual((code, err.count("problem: " + place)), (7, 1))
            out = run("verify", self.path)[1]
            self.assertEqual((out.count(place), out.count("note: no bundle was checked")), (1, 1), out)
        os.remove(os.path.join(self.path, "man", "0000000000000001"))
        with open(os.path.join(self.path, "man", "0000000000000002"), "wb") as file:
            file.write(second)
        self.assertEqual(run("log", self.path), log)
        self.assertIn("E_MISSING man/0000000000000001 -: ", run("verify", self.path)[1])

    def test_a_window_that_differs_from_its_segments_is_found_by_a_deep_check(self) -> None:
        segments = busy()
        maker = Maker()
        other = {1: maker.segment([], [entry(None)])}
        for slot in (2, 3):
            lines = [line.head_bytes + (b',"obj":' + line.obj + b"}" if line.obj is not None else b"") for line in reader.read_segment(segments[slot], ARCHIVE, slot).lines()]
            other[slot] = maker.segment([line.decode().replace('"running":true', "") for line in lines], [entry(START + 2000)])
        cases: List[Tuple[str, Tuple[Dict[str, Any], Dict[str, bytes]]]] = [
            ("head of the window", roll({**segments, 3: other[3]}, 2, 3)),
            ("previous of the window", roll({**segments, 2: other[2], 3: segments[3]}, 2, 3)),
            ("entries of the window", roll(segments, 2, 3, entries=lambda entries: entries[:1])),
            ("entries of the window", roll(segments, 2, 3, entries=lambda entries: [{**item, "named": 1} for item in entries]))]
        for number, (expected, (window, bundles)) in enumerate(cases):
            self.path += str(number)
            write_archive(self.path, segments)
            write_history(self.path, [manifest(1, None, [window])], bundles)
            code, out, _ = run("verify", self.path)
            name = "hist/" + window["parts"][0]["sha256"]
            self.assertRegex(out, f"(?m)^E_(CHAIN|PUBLIC) {name} -: .*{expected}")
            self.assertEqual(code, 7)
        maker = Maker()
        one = {1: maker.segment([]), 2: maker.segment([rec(1, "S", body=obj("vm")), rec(2, "H")]), 3: maker.segment([rec(3, "H")])}
        maker = Maker()
        two = {1: maker.segment([]), 2: maker.segment([rec(1, "S", body=obj("vm", "7"), lo=START), rec(2, "H")]), 3: maker.segment([rec(3, "H")])}
        window, bundles = roll(two, 1, 2)
        self.path += "y"
        write_archive(self.path, one)
        write_history(self.path, [manifest(1, None, [window])], bundles)
        out = run("verify", self.path)[1]
        self.assertEqual([line.partition(" ")[0] for line in out.splitlines() if line.startswith("E_")], ["E_CHAIN", "E_ROOT", "E_PUBLIC"], out)

    def test_a_window_that_does_not_follow_what_stands_before_it_is_not_used(self) -> None:
        segments = busy()
        maker = Maker()
        other = {1: maker.segment([], [entry(START)])}
        for slot in (2, 3):
            lines = [line.head_bytes + (b',"obj":' + line.obj + b"}" if line.obj is not None else b"") for line in reader.read_segment(segments[slot], ARCHIVE, slot).lines()]
            other[slot] = maker.segment([line.decode() for line in lines])
        window, bundles = roll({**segments, **other}, 2, 3)
        write_archive(self.path, segments)
        write_history(self.path, [manifest(1, None, [window])], bundles)
        code, out, err = run("log", self.path)
        self.assertEqual((code, out), run("log", self.path, "--log-only")[:2])
        self.assertRegex(err, "^note: the window of slots 2 to 3 is read from its segments: E_CHAIN")


def lived(seed: int) -> Dict[int, bytes]:
    """A small random life. What is back-dated, named by gaps and left unobserved is drawn as the format allows it, not as a writer would."""
    dice, maker, seq, clock = random.Random(seed), Maker(), 0, START
    segments = {1: maker.segment([], [entry(None)])}
    opened: List[Any] = []  # of each gap the seq that opened it, the newest instant it begins at, what it is about
    far = dice.choice((2, 4, 40))  # how far back it goes
    for slot in range(2, 12):
        lines: List[str] = []
        for _ in range(dice.choice((0, 1, 2, 4, 6))):
            seq, clock = seq + 1, clock + dice.randrange(1, 3000)
            op, name, uid = dice.choice("AMMSWNDDXXGGHZ"), dice.choice("abc"), dice.choice(("u1", "u1", "u2", "u3"))
            more: Dict[str, Any] = {"reason": "r"} if op in "WX" else {}
            if op == "G":
                start, about = dice.randrange(START, clock + 1), {}
                if dice.random() < 0.3:
                    about = {"object": {"namespace": "ns", "name": name, "group": "kubevirt.io", "kind": "VirtualMachine"}}
                back = dice.choice(opened[-far:]) if opened and dice.random() < 0.7 else None
                if back is not None:
                    start, about = dice.randrange(back[1] if seed % 2 else START, clock + 1), back[2]
                more["gap"] = {"group": "kubevirt.io", "resource": "virtualmachines", "from": start, "cause": dice.choice(("stalled", "expired", "removed")), **about}
                if back is not None:
                    more["gap"].update(to=dice.randrange(start, clock + dice.choice((1, 9000))), opened=back[0])
                    back[1] = start
                else:
                    if dice.random() < 0.2:
                        more["gap"]["to"] = dice.randrange(start, clock + 5000)
                    opened.append([seq, start, about])
                if seed % 2 and dice.random() < 0.3:  # a gap that turns out to begin earlier says nothing else than before: bundles.md 5
                    more["gap"]["detail"] = f"d{seq}"
            elif op != "H":
                more["k"] = ["ns/" + name, "ns", name, "kubevirt.io", "VirtualMachine", "" if op == "N" else uid]
            if op in "AMSN" and seq > 1 and dice.random() < 0.4:
                more["from_"] = dice.randrange(max(1, seq - far), seq)
            if dice.random() < 0.2:
                more["lo"] = dice.randrange(max(START, clock - 5000), clock)
            more.update({"rv": str(seq)} if op == "W" else {"skip": 1} if op == "Z" else {})
            lines.append(rec(seq, op, name, uid, obj(name, str(seq), uid) if op in "AMS" else None, t=clock, **more))
        if not lines and dice.random() < 0.5:
            clock += dice.randrange(2000)
            maker.watermark = clock
        proofs = [entry(dice.randrange(START, clock + 1), resource=name) for name in ("other", "virtualmachines") if dice.random() < 0.5]
        segments[slot] = maker.segment(lines, proofs)
    return segments


class Checkpoints(unittest.TestCase):
    def setUp(self) -> None:
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.path = os.path.join(temporary.name, "a")

    def made(self, segments: Dict[int, bytes], windows: List[Tuple[Dict[str, Any], Dict[str, bytes]]], *points: Tuple[Dict[str, Any], Dict[str, bytes]],
             damaged: Optional[Dict[int, bytes]] = None) -> None:
        self.path += "x"
        write_archive(self.path, {**segments, **(damaged or {})})
        listed = {"checkpoints": [point for point, _ in points]} if points else {}
        write_history(self.path, [manifest(1, None, [window for window, _ in windows], **listed)], *(bundles for _, bundles in [*windows, *points]))

    def begun(self, *arguments: str) -> Tuple[Tuple[int, str, str], List[int]]:
        """What the tool says, and the checkpoint that the answer came from, if any."""
        used: List[int] = []
        state_at = reader.state_at

        def noted(archive: Any, *more: Any) -> Any:
            used.extend([archive.start.window.last_slot] if archive.start else [])
            return state_at(archive, *more)

        try:
            reader.state_at = noted
            return run(*arguments), used
        finally:
            reader.state_at = state_at

    def test_answers_of_random_lives_do_not_differ_by_checkpoints(self) -> None:
        """Of checkpoints.md 1 and 4 as much as of the reader. Each life has several checkpoints, of which the newest that may be used is."""
        used = 0
        for seed in SEEDS:
            dice, segments = random.Random(seed), lived(seed)
            ends = {slot: reader.read_footer(data, len(data), ARCHIVE, slot) for slot, data in segments.items()}
            windows, points, slot = [], [], 1
            while slot < 10:
                end = dice.randrange(slot, 11)
                if ends[end].last_seq >= ends[slot].first_seq:
                    windows.append(roll(segments, slot, end, dice.randrange(1, 5), dice.randrange(1, 3), dice.randrange(1, 5), dice.randrange(1, 9)))
                    slot = end + 1
                else:
                    slot = 99 if end == 10 else slot
            seqs = set()
            for last in sorted(dice.sample(range(2, 11), 3)):  # also where a longer window has replaced the one that ended there
                s = ends[last].last_seq
                if s and s not in seqs and last <= windows[-1][0]["lastSegment"]:
                    ends_from = dice.choice((1, s + 1, dice.randrange(1, s + 2), max(1, s - 3)))
                    made = check(segments, last, ends_from, dice.randrange(1, 3), per_member=dice.randrange(1, 4), per_frame=dice.randrange(1, 5))
                    if made[1]:
                        points.append(made)
                        seqs.add(s)
            self.made(segments, windows, *points)
            out = run("verify", self.path)[1]
            self.assertRegex(out, f"readable: {len(windows)} of {len(windows)} windows")
            if points:
                self.assertIn(f"readable: {len(points)} of {len(points)} checkpoints\n", out)
            self.assertEqual((out.count("\nE_"), out.count("was not compared")), (out.count("\nE_LINE"), 0), (seed, out))
            last_seq, clock = ends[11].last_seq, ends[11].last_time
            ats = [f"seq:{seq}" for seq in range(1, last_seq + 1)] + ["latest"]
            ats += [reader.format_time(at) for footer in ends.values() for at in (footer.last_time, footer.last_time + 1, footer.first_time - 1)]
            ats += [reader.format_time(dice.randrange(START, clock + 9)) for _ in range(6)]
            for at in ats:
                answer, begun = self.begun("dump", self.path, "--at", at, "--explain")
                self.assertEqual(answer, run("dump", self.path, "--at", at, "--explain", "--log-only"), (seed, at, begun))
                used += len(begun)
        self.assertGreater(used, 10 * len(SEEDS))


    def busy(self, *points: Tuple[int, int], windows: Tuple[Tuple[int, int], ...] = ((1, 3), (4, 6)), **more: Any) -> Dict[int, bytes]:
        """An archive of `busy`, in which nothing changes its home, with checkpoints: slots and endsFrom."""
        segments = still()
        self.points = [check(segments, *point, **more) for point in points]
        self.made(segments, [roll(segments, *slots) for slots in windows], *self.points)
        return segments

    def same(self, at: str, begun: List[int], note: str = "") -> None:
        expected = run("dump", self.path, "--at", at, "--log-only")
        (code, out, err), used = self.begun("dump", self.path, "--at", at)
        self.assertEqual((code, out, used), (*expected[:2], begun), (at, err))
        self.assertEqual(err.partition(note)[2].partition("\n")[2] if note else err, expected[2])
        if note:
            self.assertEqual(err.count("note: "), 1)

    def test_the_newest_checkpoint_that_is_whole_and_not_later_than_the_instant_is_begun_with(self) -> None:
        self.busy((3, 1), (6, 20), parts=2)
        (old, _), (new, files) = self.points
        for at, begun in (("latest", [6]), ("seq:40", [6]), ("seq:39", [6]), ("seq:38", [3]), ("seq:29", [3]), ("seq:28", []), ("seq:1", [])):
            self.same(at, begun)
        self.same(reader.format_time(new["lastTime"]), [6])
        self.same(reader.format_time(new["lastTime"] - 1), [3])
        self.assertEqual(run("verify", self.path)[0], 0)
        for change, code in ((lambda data: None, "E_MISSING"), (lambda data: b"!" + data[1:], "E_BODY_HASH"), (lambda data: data[:-1], "E_FOOTER_MAGIC")):
            part = new["parts"][1]
            changed = change(files[part["sha256"]])
            place = os.path.join(self.path, "ckpt", part["sha256"])
            os.remove(place)
            if changed is not None:
                with open(place, "wb") as file:
                    file.write(changed)
            self.same("latest", [3], f"note: the checkpoint at slot 6 is not used: {code} ckpt/{part['sha256']} ")
            self.assertEqual(run("log", self.path), run("log", self.path, "--log-only"))
            code_found, out, _ = run("verify", self.path)
            self.assertEqual((code_found, out.count(f"{code} ckpt/{part['sha256']} "), out.count("\nE_")), (7, 1, 1), out)
            self.assertIn("readable: 1 of 2 checkpoints\n", out)
            with open(place, "wb") as file:
                file.write(files[part["sha256"]])
        self.same("latest", [6])
        self.assertEqual(self.begun("dump", self.path, "--at", "latest", "--log-only")[1], [])

    def test_what_is_lost_before_a_checkpoint_does_not_matter_behind_it(self) -> None:
        segments = self.busy((6, 1))
        questions = ["latest", "seq:41", "seq:40", "seq:39"]
        right = [run("dump", self.path, "--at", at) for at in questions]
        for name in os.listdir(os.path.join(self.path, "hist")):
            os.remove(os.path.join(self.path, "hist", name))
        for slot in range(1, 7):
            os.remove(os.path.join(self.path, "log", "0000", f"{slot:016x}"))
        for at, answer in zip(questions, right):
            (code, out, err), used = self.begun("dump", self.path, "--at", at)
            err = "".join(row + "\n" for row in err.splitlines() if not row.startswith("note: the window"))  # who looks for the time of a record says so
            self.assertEqual(((code, out, err), used), (answer, [6]), at)
        self.assertEqual(run("dump", self.path, "--at", "seq:38")[0], 1)
        self.assertEqual(run("dump", self.path, "--at", reader.format_time(self.points[0][0]["lastTime"] - 1))[0], 7)
        self.assertIn("note: the checkpoint at slot 6 was not compared", run("verify", self.path)[1])

    def test_a_checkpoint_is_not_used_where_what_is_behind_it_reaches_back(self) -> None:
        """checkpoints.md 4.1 and 4.2. That the answer would be another one is seen by its endsFrom, which alone is changed."""
        gap = {"group": "kubevirt.io", "resource": "virtualmachines", "cause": "expired", "from": START}
        for late, ends_from, begun in (
                (rec(5, "S", "vm", body=obj("vm", "7"), from_=1), 2, []), (rec(5, "S", "vm", body=obj("vm", "7"), from_=1), 1, [3]),
                (rec(5, "S", "vm", body=obj("vm", "7"), from_=2), 2, [3]), (rec(5, "G", gap={**gap, "to": START + 9000, "opened": 3}), 5, []),
                (rec(5, "G", gap={**gap, "to": START + 9000, "opened": 2}), 5, []), (rec(5, "G", gap={**gap, "to": START + 9000}), 5, [3])):
            maker = Maker()
            segments = {1: maker.segment([], [entry(None)]), 2: maker.segment([rec(1, "S", body=obj("vm")), rec(2, "D", body=obj("vm", "2")), rec(3, "G", gap={**gap, "to": START + 2500})]),
                        3: maker.segment([rec(4, "S", "other", body=obj("other"))]), 4: maker.segment([late]), 5: maker.segment([rec(6, "H")])}
            self.made(segments, [roll(segments, 1, 3), roll(segments, 4, 4)], check(segments, 3, ends_from))
            for at in ("latest", "seq:4", "seq:5"):
                self.same(at, begun)

    def test_a_checkpoint_is_used_where_a_longer_window_holds_slots_on_both_sides(self) -> None:
        segments = self.busy((3, 1), windows=((1, 6),))
        for at in ("seq:29", "seq:33", "latest"):
            self.same(at, [3])
        path = os.path.join(self.path, "log", "0000", f"{5:016x}")
        os.remove(path)
        right = run("dump", self.path, "--at", "latest")
        with open(path, "wb") as file:
            file.write(segments[5])
        self.assertEqual(run("dump", self.path, "--at", "latest"), right)

    def test_a_checkpoint_is_not_used_once_a_slot_was_put_back_that_it_was_made_without(self) -> None:
        """checkpoints.md 4.3 to 4.5."""
        def gap(seq: int, **more: Any) -> str:
            return rec(seq, "G", gap={"group": "kubevirt.io", "resource": "virtualmachines", "from": START + 1000, "cause": "damage", "detail": "segments 3", **more})

        maker = Maker()
        segments = {1: maker.segment([], [entry(START)]), 2: maker.segment([rec(1, "S", body=obj("vm"))], [entry(START + 1000)]),
                    3: maker.segment([rec(2, "S", "ghost", body=obj("ghost"))])}
        maker.previous, maker.epoch = bytes(32), 4
        segments.update({4: maker.segment([], [entry(START + 1000)]), 5: maker.segment([gap(3), gap(4, to=START + 4000, opened=3)], [entry(START + 4000)]),
                         6: maker.segment([rec(5, "A", "new", body=obj("new"))], [entry(START + 5000)]), 7: maker.segment([rec(6, "H")], [entry(START + 6000)])})
        other = dict(segments)  # of which the writer of the checkpoint could read as much
        other[3] = Maker().segment([])
        lost = [line for slot in (2, 5, 6) for line in reader.read_segment(segments[slot], ARCHIVE, slot).lines()]
        raw = [line.head_bytes + (b',"obj":' + line.obj + b"}" if line.obj is not None else b"") for line in lost]
        keep = kept(raw, 1, START + 5000)
        self.assertEqual([head_of(line)["seq"] for line in keep], [1, 3, 4, 5])
        for without, put_back, begun in (([[3, 3]], False, [6]), ([[3, 3]], True, []), ([], False, [])):
            point = check(segments, 6, 1, without=without, lines=lambda _: sorted(keep, key=lambda line: (sort_elements(line), head_of(line)["seq"])),
                          entries=lambda _: resume({**segments, 3: b""}, 6))
            self.made(segments, [roll(segments, 1, 2), roll(segments, 4, 6)], point, damaged={} if put_back else {3: b"x"})
            (code, out, _), used = self.begun("dump", self.path, "--at", "latest")
            self.assertEqual((code, used, out.count("ghost") > 0), (7 if not put_back and not without else 0, begun, put_back))
        segments[3] = b"x"
        self.made({**segments, 3: b"x"}, [roll(segments, 4, 6)], point)  # slot 2 lies in no window, and has records
        self.assertEqual(self.begun("dump", self.path, "--at", "latest")[1], [])

    def test_a_checkpoint_that_what_stands_behind_it_does_not_follow_is_not_used(self) -> None:
        segments, other = still(), "1" * 64
        of_head = check(segments, 6, 1, public_json=lambda text: text.replace(sha(segments[6]).hex().encode(), other.encode()),
                        meta=lambda text: text.replace(sha(segments[6]).hex().encode(), other.encode()))
        of_seq = check(segments, 6, 1, footer=put(last_seq=38), meta=lambda text: compact({**json.loads(text), "lastSeq": 38}).encode() + b"\n",
                       lines=lambda lines: [line for line in lines if head_of(line)["seq"] < 38])
        for point, told in ((of_head, {"head": other}), (of_seq, {"lastSeq": 38})):
            self.made(segments, [roll(segments, 1, 5)], ({**point[0], **told}, point[1]), damaged={6: b"x"})
            self.assertRegex(run("dump", self.path, "--at", "latest")[2], "^E_TRUNCATED 6 ")  # and slot 7 is not called damaged
            self.same("latest", [])

    def test_a_deep_check_replays_the_log(self) -> None:
        segments = still()
        flip = {"t": START + 38999}
        cases: List[Tuple[str, Dict[str, Any], Dict[str, Any]]] = [
            ("E_ROOT", {"lines": lambda lines: lines[:-1]}, {}), ("E_PUBLIC", {"entries": lambda entries: entries[1:]}, {}),
            ("E_PUBLIC", {"point": lambda point: {**point, **flip}}, flip), ("E_CHAIN", {"footer": put(epoch=9), "meta": lambda m: compact({**json.loads(m), "epoch": 9}).encode() + b"\n"}, {}),
            ("E_CHAIN", {"footer": put(nonce=b"9" * 16), "meta": lambda m: compact({**json.loads(m), "nonce": (b"9" * 16).hex()}).encode() + b"\n"}, {})]
        for number, (code, hooks, told) in enumerate(cases):
            point, files = check(segments, 6, 1, **hooks)
            self.made(segments, [roll(segments, 1, 6)], ({**point, **told}, files))
            status, out, _ = run("verify", self.path)
            name = point["parts"][0]["sha256"]
            self.assertEqual([line.split()[:2] for line in out.splitlines() if line.startswith("E_")], [[code, "ckpt/" + name]], (number, out))
            self.assertEqual(status, 7)
        self.made(segments, [roll(segments, 1, 6)], check(segments, 6, 1))
        write_history(self.path, [], check(segments, 3, 1)[1])
        status, out, _ = run("verify", self.path)
        self.assertEqual((status, out.count("note: ckpt/"), out.count("is named by no manifest")), (0, 1, 1), out)

    def test_every_broken_checkpoint_gives_its_code(self) -> None:
        segments, field = still(), "E_FOOTER_FIELD"
        cases: List[Tuple[str, Dict[str, Any]]] = [
            ("ok", {}), (field, {"footer": put(kind=2)}), (field, {"footer": put(kind=1)}), (field, {"footer": put(level=1)}), (field, {"footer": put(first_slot=2)}),
            (field, {"footer": put(first_seq=2)}), (field, {"footer": put(previous=b"1" * 32)}), (field, {"footer": put(records=99)}), (field, {"footer": put(flags=124)}),
            ("E_COUNT", {"footer": put(last_slot=5)}), ("E_COUNT", {"footer": put(first_time=START + 1)}), ("E_COUNT", {"footer": put(last_time=START + 50000)}),
            ("E_META", {"meta": lambda m: m.replace(b'"checkpoint"', b'"history"')}), ("E_PUBLIC", {"public_json": lambda j: j.replace(b'"checkpoint"', b'"checkpoint2"')}),
            ("E_PUBLIC", {"public_json": lambda j: j.replace(b'"earliest":{}', b'"earliest":{"from":1}')}), ("E_PUBLIC", {"public_json": lambda j: j.replace(b'"earliest":{}', b'"earliest":0')}),
            ("E_COUNT", {"point": lambda p: {**p, "endsFrom": 4}}), ("E_COUNT", {"point": lambda p: {**p, "t": p["t"] - 1}}), ("E_COUNT", {"point": lambda p: {**p, "without": [[2, 3]]}}),
            ("E_SEQ", {"lines": lambda lines: lines + lines[-1:]}), ("E_INDEX", {"lines": lambda lines: lines[::-1]}),
            ("E_SEQ", {"lines": lambda lines: [rec(1, "M", "busy", body=obj("busy")).encode()] + [line for line in lines if head_of(line).get("k", [0] * 3)[2] == "busy"]}),
            ("E_SEQ", {"lines": lambda lines: [rec(4, "H").encode()]}), ("E_SEQ", {"lines": lambda lines: [rec(4, "Z", skip=1).encode()]}),
            ("E_SEQ", {"lines": lambda lines: [rec(4, "D").encode(), rec(5, "A", body=obj("vm")).encode()]}), ("E_SEQ", {"lines": lambda lines: [rec(2, "D").encode()]}),
            ("E_SEQ", {"lines": lambda lines: [rec(40, "S", body=obj("vm"), t=START + 38000).encode()]}), ("E_TIME", {"lines": lambda lines: [rec(4, "S", body=obj("vm"), t=START - 1).encode()]}),
            ("E_TIME", {"lines": lambda lines: [rec(4, "S", body=obj("vm"), t=START + 9).encode(), rec(5, "S", "wm", body=obj("wm"), t=START + 9).encode()]}),
            ("E_INDEX", {"filter": lambda bits: bits + b"\0"}), ("E_PUBLIC", {"entries": lambda entries: entries[::-1]})]
        for member, values in {"endsFrom": (0, 41, "1", None), "t": (START - 1, START + 10**9, 5, None),
                               "without": ([], {}, [[1]], [[2, 1]], [[0, 1]], [[7, 7]], [[1, 1], [2, 2]], [[3, 4], [1, 1]], [["1", 1]], None)}.items():
            cases += [("E_PUBLIC", {"point": lambda p, member=member, value=value: {**p, member: value}}) for value in values]
        for number, (expected, hooks) in enumerate(cases):
            window, files = check(segments, 6, 3, **hooks)
            self.assertEqual(whole(window, files), expected, (number, hooks))
        made = check(segments, 6, 1)
        history = roll(segments, 1, 6, public_json=lambda j: j[:-1] + b',"checkpoint":{"endsFrom":1,"t":%d}}' % START)
        self.assertEqual((whole(*made), whole(*history)), ("ok", "E_PUBLIC"))
        window, files = check(segments, 6, 1, parts=3)
        self.assertEqual((whole(window, files), whole({**window, "root": "0" * 64}, files), whole(window, files, [2])), ("ok", "E_ROOT", "ok"))
        self.assertEqual(whole({**window, "parts": window["parts"][::-1]}, files), "E_META")
        self.assertEqual(whole({**window, "parts": window["parts"][:1] * 2 + window["parts"][1:]}, files), "E_META")

    def test_no_flipped_bit_of_a_checkpoint_passes(self) -> None:
        window, files = check(still(), 6, 1)
        (name, data), = files.items()
        dice = random.Random(3)
        for at in range(0, len(data), 5):
            changed = bytearray(data)
            changed[at] ^= 1 << dice.randrange(8)
            self.assertNotEqual(whole(window, {name: bytes(changed)}), "ok", at)

    def test_every_broken_list_of_checkpoints_gives_its_code(self) -> None:
        segments = still()
        a, b, w = check(segments, 3, 1)[0], check(segments, 6, 20)[0], roll(segments, 1, 6)[0]
        code = Manifests.code

        def told(*points: Any, **more: Any) -> bytes:
            return manifest(1, None, [w], **{"checkpoints": list(points), **more})

        self.assertEqual(code(self, told(a, b)), "ok")  # type: ignore[arg-type]
        part = a["parts"][0]
        bad: List[bytes] = [told(), told(b, a), told(a, a), told(5), manifest(1, None, [w], checkpoints={}), told({**b, "head": "1" * 64}), told({**b, "lastSeq": 40}),
                            told({**b, "lastTime": b["lastTime"] + 1}), told(a, {**b, "lastSegment": 5, "lastSeq": a["lastSeq"]}), told(a, {**b, "lastSegment": 5, "lastTime": a["lastTime"] - 1})]
        for member, values in {
                "endsFrom": (0, 31, True, "1", None), "firstTime": (5, a["t"] + 1, None), "head": ("x", None), "lastSegment": (0, 1.5, None), "lastSeq": (0, None), "lastTime": (a["t"] - 1, None),
                "root": (0, None), "t": (a["firstTime"] - 1, a["lastTime"] + 1, None), "without": ([], [[0, 1]], [[1, 4]], [[1, 1], [2, 3]], [[3, 2]], "x", [[1, 1, 1]]),
                "parts": ([], [part] * 4097, [{**part, "size": 383}], [{**part, "records": 30}], [{**part, "records": 0}], [{**part, "sha256": "x"}], None)}.items():
            bad += [told({key: item for key, item in {**a, member: value}.items() if item is not None}) for value in values]
        for number, data in enumerate(bad):
            self.assertEqual(code(self, data), "E_MANIFEST", (number, data[:400]))  # type: ignore[arg-type]
        wide = {**b, "lastSegment": 1 << 20, "without": [[1, 1 << 16]]}
        self.assertEqual(code(self, told(a, wide)), "ok")  # type: ignore[arg-type]
        self.assertEqual(code(self, told(a, {**wide, "without": [[1, (1 << 16) + 1]]})), "E_MANIFEST")  # type: ignore[arg-type]
        self.assertEqual(code(self, told(a, {**wide, "without": [[1, 1 << 15], [(1 << 15) + 2, (1 << 16) + 2]]})), "E_MANIFEST")  # type: ignore[arg-type]
        before = manifest(1, None, [], checkpoints=[a, b])
        for expected, points in (("ok", [a, b]), ("ok", [b]), ("ok", None), ("ok", [{**a, "endsFrom": 2, "root": "1" * 64}]), ("ok", [{**a, "without": [[1, 1]], "root": "1" * 64}]),
                                 ("E_MANIFEST", [{**a, "root": "1" * 64}]), ("E_MANIFEST", [{**a, "head": "1" * 64}]), ("E_MANIFEST", [{**a, "t": a["t"] - 1}]),
                                 ("E_MANIFEST", [{**a, "lastSeq": a["lastSeq"] + 1}]), ("E_MANIFEST", [{**a, "lastTime": a["lastTime"] + 1}]), ("ok", [{**a, "firstTime": a["firstTime"] + 1}])):
            self.assertEqual(code(self, manifest(2, before, [], checkpoints=points), 2, before), expected, points)  # type: ignore[arg-type]


class Bundles(unittest.TestCase):
    def test_every_broken_footer_of_a_bundle_gives_its_code(self) -> None:
        segments = busy()
        field = "E_FOOTER_FIELD"
        cases: List[Tuple[str, Callable[[Dict[str, Any]], Dict[str, Any]]]] = [
            ("E_FOOTER_MAGIC", put(magic=b"KVBFOOT2")), ("E_VERSION", put(minor=1)), ("E_VERSION", put(minor=3)), ("E_VERSION", put(major=1)),
            ("E_FEATURE", put(features=1)), ("E_FEATURE", put(flags=1)), ("E_FEATURE", put(flags=2)), ("E_FEATURE", put(encryption_length=1)),
            ("E_FEATURE", put(signer=1)), ("E_RESERVED", put(flags=136)), (field, put(level=0)), (field, put(level=5)), (field, put(kind=1)), (field, put(kind=3)),
            (field, put(shard=1)), (field, put(flags=112)), (field, put(flags=124)), (field, put(epoch=0)), (field, put(first_slot=0)), (field, put(first_slot=7)),
            (field, put(first_seq=0)), (field, put(first_seq=99)), (field, put(records=0)), (field, put(records=99)), (field, put(members=1)),
            (field, put(members=99)), (field, put(first_time=5)), (field, put(first_time=START + 10**9)), (field, put(index_offset=1 << 40)), (field, put(body_length=0)),
            ("E_ARCHIVE", put(archive=bytes(16))), ("E_COUNT", put(level=3)), ("E_COUNT", put(first_slot=1)), ("E_COUNT", put(last_slot=9)), (field, put(first_seq=2)),
            (field, put(last_seq=35)), ("E_COUNT", put(last_seq=40)), ("E_COUNT", put(first_time=START)), ("E_COUNT", put(last_time=START + 37000)),
            ("E_COUNT", put(previous=bytes(32))), ("E_COUNT", put(root=bytes(32))), ("E_COUNT", put(records=20)), ("E_BODY_HASH", put(body_hash=bytes(32))),
            ("E_INDEX_HASH", put(index_hash=bytes(32))), ("E_LIMIT", put(index_content=(16 << 20) + 1)), ("E_ZSTD", put(index_content=4096)),
            ("E_META", put(epoch=9)), ("E_META", put(nonce=bytes(16))), ("E_FLAGS", put(flags=8)), ("E_FLAGS", put(flags=24))]
        for expected, hook in cases:
            self.assertEqual(whole(*roll(segments, 2, 5, footer=hook)), expected, hook({}))
        self.assertEqual(whole(*roll(segments, 2, 5)), "ok")
        window, bundles = roll(segments, 2, 5)
        told, data = reader.read_window(window), next(iter(bundles.values()))
        for size, expected in ((383, "E_TRUNCATED"), ((128 << 20) + 1, "E_TOO_LARGE")):
            with self.assertRaises(reader.Problem) as raised:
                reader.open_bundle(reader.Blob(io.BytesIO(data[-size:]), size), ARCHIVE, told, 1)
            self.assertEqual(raised.exception.code, expected)
        self.assertEqual(whole(*roll(segments, 2, 5, signature=b"\1" + bytes(63))), "E_RESERVED")
        self.assertEqual(whole(*roll(segments, 3, 3, footer=put(flags=24))), "E_FLAGS")
        bundle = next(iter(roll(segments, 2, 2)[1].values()))
        self.assertEqual(code_of(bundle, 2), "E_VERSION")

    def test_a_bundle_that_is_not_the_one_of_the_manifest_gives_its_code(self) -> None:
        segments = busy()
        window, bundles = roll(segments, 2, 5, parts=2)
        for member, value, expected in (
                ("earliest", {}, "E_COUNT"), ("head", "0" * 64, "E_COUNT"), ("root", "0" * 64, "E_ROOT"), ("prev", "0" * 64, "E_COUNT"), ("level", 4, "E_COUNT"),
                ("firstSegment", 1, "E_MANIFEST"), ("lastSegment", 6, "E_COUNT"), ("firstTime", START, "E_COUNT"), ("lastTime", START + 10**6, "E_COUNT"),
                ("firstSeq", 2, "E_MANIFEST"), ("parts", [], "E_MANIFEST"), ("parts", window["parts"][:1], "E_MANIFEST"),
                ("parts", [{**part, "size": part["size"] + 1} for part in window["parts"]], "E_COUNT"),
                ("parts", [{**part, "records": part["records"] + by} for part, by in zip(window["parts"], (1, -1))], "E_COUNT")):
            self.assertEqual(whole({**window, member: value}, bundles), expected, (member, value))
        window, bundles = roll(segments, 5, 6, parts=2)
        first, second = window["parts"]
        self.assertEqual(first["records"], second["records"])
        for parts in ([second, first], [first, first]):
            self.assertEqual(whole({**window, "parts": parts}, bundles), "E_META")
        self.assertEqual(whole({**window, "parts": [{**first, "sha256": second["sha256"], "size": second["size"]}, first]}, bundles), "E_META")
        other, more = roll(segments, 5, 6, parts=2, meta=lambda meta: meta.replace(b"ab" * 16, b"cd" * 16))
        renamed = {**bundles, first["sha256"]: more[other["parts"][0]["sha256"]]}
        self.assertEqual(whole({**window, "parts": [{**other["parts"][0], "sha256": first["sha256"]}, second]}, renamed), "E_NAME")

    def test_every_broken_line_member_and_order_gives_its_code(self) -> None:
        segments = busy()

        def at(index: int, change: Callable[[bytes], bytes]) -> Callable[[List[bytes]], List[bytes]]:
            return lambda lines: [change(line) if number == index else line for number, line in enumerate(lines)]

        def swap(lines: List[bytes], one: int, two: int) -> List[bytes]:
            lines[one], lines[two] = lines[two], lines[one]
            return lines

        def first_content(change: Callable[[bytes], bytes]) -> Callable[[List[bytes]], List[bytes]]:
            return lambda contents: [change(contents[0])] + contents[1:]

        cases: List[Tuple[str, Dict[str, Any]]] = [
            ("ok", {"per_member": 1, "per_frame": 1}), ("ok", {"per_member": 3, "per_frame": 7}), ("ok", {"alone": True}), ("ok", {"alone": True, "parts": 3}),
            ("E_INDEX", {"lines": lambda lines: swap(lines, 10, 11)}), ("E_INDEX", {"lines": lambda lines: swap(lines, 10, 11), "per_frame": 1, "per_member": 1}),
            ("E_INDEX", {"lines": lambda lines: lines[::-1], "per_frame": 1}), ("E_INDEX", {"lines": lambda lines: swap(lines, 0, 3)}),
            ("E_SEQ", {"lines": lambda lines: lines[:11] + [lines[10]] + lines[12:]}),
            ("E_SEQ", {"lines": lambda lines: lines[:11] + [lines[10]] + lines[12:], "per_frame": 1, "per_member": 1}),
            ("E_SEQ", {"lines": at(0, lambda line: line.replace(b'"seq":3', b'"seq":4'))}), ("E_SEQ", {"lines": at(27, lambda line: line.replace(b'"seq":7', b'"seq":3'))}),
            ("E_SEQ", {"lines": at(0, lambda line: line.replace(b'"seq":3', b'"seq":99').replace(b'"opened"', b'"x"'))}),
            ("E_TIME", {"lines": at(1, lambda line: line.replace(b'004000', b'003000'))}), ("E_TIME", {"lines": at(1, lambda line: line.replace(b'"t":1', b'"t":2'))}),
            ("E_TIME", {"lines": lambda lines: [line.replace(b"00029000", b"00029001") for line in lines]}),
            ("E_TIME", {"lines": lambda lines: [line.replace(b"00001000", b"00000999") for line in lines]}),
            ("E_ROOT", {"root": lambda _: bytes(32)}), ("E_ROOT", {"root": lambda _: bytes(32), "parts": 2}),
            ("E_ROOT", {"lines": at(1, lambda line: line.replace(b'"op"', b'"x":1,"op"')), "parts": 2}),
            ("E_LINE", {"lines": at(27, lambda line: line.replace(b'"z"', b'"z\\u0000"', 1))}), ("E_LINE", {"lines": at(27, lambda line: line.replace(b'"z"', b'""'))}),
            ("E_LINE", {"member": lambda member: member[:-1]}), ("E_LINE", {"member": lambda member: member.replace(b'"t"', b' "t"')}),
            ("E_OP", {"lines": at(27, lambda line: line.replace(b',"skip":1', b""))}),
            ("E_TAR", {"members": lambda members: [members[0] + members[1]] + members[2:]}),
            ("E_TAR", {"name": lambda name: name.replace("00000002", "00000003")}), ("E_TAR", {"name": lambda name: name.replace("00000001-", "events-")}),
            ("E_TAR", {"name": lambda name: name.replace("ns_busy", "ns-busy")}), ("E_TAR", {"name": lambda name: name.replace("jsonl", "json")}),
            ("E_TAR", {"contents": first_content(lambda c: b"M" + c[1:])}), ("E_TAR", {"contents": first_content(lambda c: c + tar("x", b"y"))}),
            ("E_TAR", {"contents": first_content(lambda c: c[1024:])}), ("E_TAR", {"contents": first_content(lambda c: c + tar("00000008-.jsonl", b""))}),
            ("E_TAR", {"contents": first_content(lambda c: c[:-1] + b"x")}),
            ("E_TAR", {"contents": lambda c: [c[0], tar("00000003-ns_z.jsonl", b"x")] + c[2:], "per_frame": 1}),
            ("E_TAR", {"index_content": lambda c: c + bytes(512)}), ("E_TAR", {"index_content": lambda c: tar(".indey", c[512:690]) + bytes(1024)}),
            ("E_ZSTD", {"frames": lambda frames: [frames[0] + b"\0"] + frames[1:]}), ("E_ZSTD", {"frames": lambda frames: [frames[0][:-1]] + frames[1:]})]
        for number, (expected, hooks) in enumerate(cases):
            self.assertEqual(whole(*roll(segments, 2, 3, **hooks)), expected, (number, hooks))
        window, bundles = roll(segments, 2, 3, parts=4, lines=lambda lines: lines[:6] + [lines[9]] + lines[7:9] + [lines[6]] + lines[10:])
        self.assertEqual(whole(window, bundles), "E_INDEX")
        twice: Dict[str, Any] = {"lines": lambda lines: [line.replace(b'"seq":7', b'"seq":3').replace(b"007000", b"003000") for line in lines]}
        window, bundles = roll(segments, 2, 3, parts=4, **twice)
        self.assertEqual((whole(window, bundles), whole(window, bundles, [1]), whole(window, bundles, [4])), ("E_SEQ", "ok", "ok"))

    def test_every_broken_index_and_filter_gives_its_code(self) -> None:
        segments = busy()

        def field(at: int, value: Any, only: int = 0) -> Callable[[List[List[Any]]], List[List[Any]]]:
            def change(table: List[List[Any]]) -> List[List[Any]]:
                table[only][at] = value(table[only][at]) if callable(value) else value
                return table
            return change

        cases: List[Tuple[str, Dict[str, Any]]] = [
            ("E_INDEX", {"probes": 8}), ("E_INDEX", {"filter": lambda bits: bytes([bits[0] ^ 1]) + bits[1:]}), ("E_INDEX", {"filter": lambda bits: bits + b"\0"}),
            ("E_INDEX", {"filter": lambda bits: b""}), ("E_INDEX", {"index": lambda i: b"K" + i[:7] + i[8:]}), ("E_INDEX", {"index": lambda i: i + b"\0"}),
            ("E_INDEX", {"index": lambda i: i[:-1]}), ("E_INDEX", {"index": lambda i: i[:33] + b"\xff" * 8 + i[41:]}), ("E_INDEX", {"index": lambda i: i[:25] + b"\1" + i[26:]}),
            ("E_INDEX", {"index": lambda i: i[:41 + i[33]] + b"\xff" * 8 + i[49 + i[33]:]}), ("E_INDEX", {"index": lambda i: i[:41 + i[33]] + bytes(8)}),
            ("E_COUNT", {"index": lambda i: i[:8] + b"\1" + i[9:]}), ("E_COUNT", {"index": lambda i: i[:16] + b"\1" + i[17:]}),
            ("E_INDEX", {"table": field(0, 1)}), ("E_INDEX", {"table": field(1, lambda length: length + 1)}), ("E_ZSTD", {"table": field(2, 512)}),
            ("E_COUNT", {"table": field(3, 9)}), ("E_INDEX", {"table": field(4, 0)}), ("E_COUNT", {"table": field(4, 1)}), ("E_INDEX", {"table": field(5, 0)}),
            ("E_INDEX", {"table": field(5, 99)}), ("E_COUNT", {"table": field(5, 2)}), ("E_COUNT", {"table": field(6, 30)}), ("E_COUNT", {"table": field(7, START)}),
            ("E_COUNT", {"table": field(8, START)}), ("E_FRAME_HASH", {"table": field(9, bytes(32))}), ("E_INDEX", {"table": field(10, b"\xff")}),
            ("E_INDEX", {"table": field(11, b"", 1)}), ("E_COUNT", {"table": field(10, b"", 1)}), ("E_COUNT", {"table": field(11, b"\0\0\0\0\0")}),
            ("E_INDEX", {"table": field(10, b"", 2)}), ("E_INDEX", {"table": field(4, 0, 1)}), ("E_INDEX", {"alone": True, "table": field(5, 1)}),
            ("E_INDEX", {"alone": True, "table": field(8, START)}), ("E_INDEX", {"alone": True, "table": lambda table: [[*item[:4], 0, *item[5:]] for item in table]}),
            ("E_COUNT", {"alone": True, "table": field(3, 2)}), ("E_LIMIT", {"table": field(2, (32 << 20) + 1)})]
        for number, (expected, hooks) in enumerate(cases):
            self.assertEqual(whole(*roll(segments, 2, 3, **{"per_frame": 1, **hooks})), expected, (number, hooks))
        many = roll(segments, 3, 3, per_frame=1, per_member=1, table=lambda table: [[*item[:2], 32 << 20, *item[3:]] for item in table])
        self.assertEqual(whole(*many), "E_ZSTD")
        lines = [rec(seq, "H") for seq in range(1, 67)]
        maker = Maker()
        beats = {1: maker.segment([]), 2: maker.segment(lines)}
        self.assertEqual(whole(*roll(beats, 1, 2, per_frame=1, per_member=1)), "ok")
        bare = roll(beats, 1, 2, per_frame=1, per_member=1, table=lambda table: [[*item[:4], 0, 0, 0, 0, 0, *item[9:]] if number == 1 else item for number, item in enumerate(table)])
        self.assertEqual(whole(*bare), "E_INDEX")
        self.assertEqual(whole(*roll(beats, 1, 2, per_frame=1, per_member=1, table=lambda table: [[*item[:2], 32 << 20, *item[3:]] for item in table])), "E_LIMIT")

    def test_every_broken_public_frame_and_meta_of_a_bundle_gives_its_code(self) -> None:
        segments = busy()

        def entries(**changes: Any) -> Callable[[Any], Any]:
            return lambda listed: [{key: value for key, value in {**item, **changes}.items() if value is not None} for item in listed]

        cases: List[Tuple[str, Dict[str, Any]]] = [
            ("E_PUBLIC", {"public": lambda p: b"\x50" + p[1:]}), ("E_PUBLIC", {"public": lambda p: p[:-1]}), ("E_PUBLIC", {"public": lambda p: b""}),
            ("E_PUBLIC", {"public_json": lambda j: j.replace(b"true", b"false", 1)}), ("E_PUBLIC", {"public_json": lambda j: j.replace(b"head", b"heat")}),
            ("E_COUNT", {"public_json": lambda j: j[:j.index(b'"head":"') + 8] + b"0" * 64 + j[j.index(b'"head":"') + 72:]}),
            ("E_PUBLIC", {"public_json": lambda j: j.replace(b"earliest", b"earliesd")}), ("E_PUBLIC", {"public_json": lambda j: j.replace(b'"gap":', b'"gap":-')}),
            ("E_COUNT", {"public_json": lambda j: j.replace(b'"gap":', b'"gab":')}), ("E_PUBLIC", {"earliest": lambda e: {**e, "gap": e["gap"] + 1}}),
            ("E_PUBLIC", {"earliest": lambda e: {**e, "gap": e["gap"] - 1}}), ("E_PUBLIC", {"earliest": lambda e: {**e, "lo": START}}),
            ("E_PUBLIC", {"earliest": lambda e: {**e, "from": 1}}), ("E_PUBLIC", {"earliest": lambda e: {}}), ("E_MANIFEST", {"earliest": lambda e: {**e, "from": 0}}),
            ("E_PUBLIC", {"entries": entries(since=None)}), ("E_PUBLIC", {"entries": entries(named=None)}), ("E_PUBLIC", {"entries": entries(named=30)}),
            ("E_PUBLIC", {"entries": entries(named=-1)}), ("E_PUBLIC", {"entries": entries(current=None)}), ("E_PUBLIC", {"entries": entries(current=1)}),
            ("E_PUBLIC", {"entries": entries(since="x")}), ("E_PUBLIC", {"entries": entries(state="odd")}), ("E_PUBLIC", {"entries": lambda listed: listed[::-1]}),
            ("E_META", {"meta": lambda m: m[:-1]}), ("E_META", {"meta": lambda m: m + b"\n"}), ("E_LIMIT", {"meta": lambda m: m[:-2] + b" " * 65536 + b"}\n"}),
            ("E_META", {"meta": lambda m: m.replace(b"abab", b"ABAB")}), ("E_META", {"meta": lambda m: m.replace(b"abab", b"ab")})]
        good = json.loads(compact({"format": "0.3", "kind": "log", "archive": "x", "shard": 1, "level": 1, "firstSegment": 1, "lastSegment": 9, "epoch": 9, "nonce": "0",
                                   "firstSeq": 2, "lastSeq": 9, "records": 1, "firstTime": 1, "lastTime": 1, "prev": "0", "root": "0", "head": "0", "part": 2,
                                   "salt": 5, "software": 5}))
        for member, value in good.items():
            cases.append(("E_META", {"meta": lambda m, member=member, value=value: compact({**json.loads(m), member: value}).encode() + b"\n"}))
            cases.append(("E_META", {"meta": lambda m, member=member: compact({k: v for k, v in json.loads(m).items() if k != member}).encode() + b"\n"}))
        for number, (expected, hooks) in enumerate(cases):
            self.assertEqual(whole(*roll(segments, 2, 3, **hooks)), expected, (number, hooks))
        for change in (lambda e: {}, lambda e: {**e, "gap": e["gap"] + 1}):
            window, bundles = roll(segments, 2, 3, parts=2, earliest=change)
            self.assertEqual((whole(window, bundles, [1]), whole(window, bundles, [2])), ("E_PUBLIC", "ok"))
        window, bundles = roll(segments, 2, 3, parts=2)
        other, more = roll(segments, 2, 3, parts=2, entries=entries(named=2))
        mixed = {**window, "parts": [window["parts"][0], other["parts"][1]]}
        self.assertEqual(whole(mixed, {**bundles, **more}), "E_PUBLIC")

    def test_every_truncation_and_every_flipped_bit_of_a_bundle_is_detected(self) -> None:
        """Also without its name, which is its hash. Nothing of a bundle is harmless: two hashes and a check cover all but the 64 bytes of
        the signature, and these must be zero."""
        maker = Maker()
        segments = {1: maker.segment([], [entry(START)]), 2: maker.segment([rec(1, "S", body=obj("vm")), rec(2, "M", body=obj("vm", "2"), lo=START)])}
        window, bundles = roll(segments, 1, 2, per_member=1, per_frame=1)
        data = next(iter(bundles.values()))
        parsed = reader.read_window(window)
        bare = parsed._replace(parts=[parsed.parts[0]._replace(size=0)])

        def code(changed: bytes, told: Any) -> str:
            try:
                reader.read_whole(told._replace(parts=[told.parts[0]._replace(size=len(changed))]) if told is bare else told, opener(changed), named=False)
            except reader.Problem as problem:
                return problem.code
            return "ok"

        def opener(changed: bytes) -> Any:
            @contextlib.contextmanager
            def opened(part: int) -> Any:
                sized = parsed._replace(parts=[parsed.parts[0]._replace(size=len(changed))])
                yield reader.open_bundle(reader.Blob(io.BytesIO(changed), len(changed)), ARCHIVE, sized, part)
            return opened

        self.assertEqual(code(data, parsed), "ok")
        seen = set()
        for at in range(len(data)):
            for bit in range(8):
                changed = bytearray(data)
                changed[at] ^= 1 << bit
                seen.add(code(bytes(changed), parsed))
            self.assertNotIn("ok", seen, at)
            seen.add(code(data[:at], bare))
            self.assertNotIn("ok", seen, at)
        self.assertLessEqual(seen, {"E_FOOTER_MAGIC", "E_FOOTER_CHECK", "E_RESERVED", "E_BODY_HASH", "E_PUBLIC", "E_INDEX_HASH", "E_TRUNCATED"})

    def test_a_flipped_bit_in_front_of_the_index_is_found_by_who_reads_that_frame(self) -> None:
        """Of a part of a bundle: the end tells of any bit from the index on; of the bits before it, the hash of their frame."""
        segments = busy()
        window, bundles = roll(segments, 2, 3, per_member=9, per_frame=9)
        data, parsed = next(iter(bundles.values())), reader.read_window(window)
        whole_bundle = reader.open_bundle(reader.Blob(io.BytesIO(data), len(data)), ARCHIVE, parsed, 1)
        dice = random.Random(5)
        for at in [*range(0, len(data), 3)]:
            changed = bytearray(data)
            changed[at] ^= 1 << dice.randrange(8)
            wrong = -1 if at >= whole_bundle.footer.index_offset else next(
                number for number, frame in enumerate(whole_bundle.frames) if frame.offset <= at < frame.offset + frame.length)
            try:
                bundle = reader.open_bundle(reader.Blob(io.BytesIO(bytes(changed)), len(data)), ARCHIVE, parsed, 1)
            except reader.Problem:
                self.assertEqual(wrong, -1, at)
                continue
            for number in range(len(bundle.frames)):
                if number == wrong:
                    with self.assertRaisesRegex(reader.Problem, "does not match the index"):
                        list(bundle.lines(number, reader.Order()))
                else:
                    self.assertEqual(sum(1 for _ in bundle.lines(number, reader.Order())), bundle.frames[number].records)

    def test_damage_below_the_hashes_of_a_bundle_never_raises_anything_but_a_problem(self) -> None:
        segments, dice, seen = busy(), random.Random(13), set()

        def damage(value: bytes) -> bytes:
            changed = bytearray(value)
            for _ in range(dice.randrange(1, 4)):
                changed[dice.randrange(len(changed))] = dice.choice(b'\0\xff"{}[],:\\0179-\n')
            return bytes(changed)

        for name in ("member", "index", "index_content", "meta", "public", "public_json", "filter"):
            for _ in range(60):
                hook: Dict[str, Any] = {name: damage}
                seen.add(whole(*roll(segments, 2, 2, **hook)))
        for _ in range(60):
            seen.add(whole(*roll(segments, 2, 2, frames=lambda frames: [damage(frame) for frame in frames])))
        self.assertLess({"E_ZSTD", "E_TAR", "E_INDEX", "E_META", "E_PUBLIC", "E_LINE"}, seen)

    def test_a_key_that_holds_a_zero_is_refused_in_segments_too(self) -> None:
        self.assertEqual(code_of(one([rec(1, "D", "a\0b")]), deep=False), "E_LINE")
        self.assertEqual(code_of(one([rec(1, "Z", skip=1, k=["", "", "", "", "", ""])]), deep=False), "E_LINE")

    def test_the_filter_of_a_bundle_without_keys_is_one_zero_byte(self) -> None:
        self.assertEqual(reader.Filter().bytes(), b"\0")
        some = reader.Filter()
        for number in range(50):
            some.take(["h%d" % number, "", "n", "", "K", ""])
        lines = [compact({"k": ["h%d" % number, "", "n", "", "K", ""]}).encode() for number in range(50)]
        self.assertEqual((some.bytes(), len(some.bytes())), (bloom(lines), 64))


class Beginnings(unittest.TestCase):
    """checkpoints.md 4: with which checkpoint `dump` begins, and when it does without."""

    def setUp(self) -> None:
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.path = os.path.join(temporary.name, "a")

    def made(self, segments: Dict[int, bytes], windows: List[Tuple[int, int]], *points: Tuple[Dict[str, Any], Dict[str, bytes]]) -> None:
        """An archive with these windows, of its own segments, and these checkpoints."""
        self.path += "x"
        rolled = [roll(segments, first, last) for first, last in windows]
        write_archive(self.path, segments)
        data = manifest(1, None, [window for window, _ in rolled], checkpoints=[point for point, _ in points])
        write_history(self.path, [data], *(bundles for _, bundles in [*rolled, *points]))

    def spoil(self, *slots: int) -> None:
        for slot in slots:
            with open(os.path.join(self.path, "log", "0000", f"{slot:016x}"), "wb") as file:
                file.write(b"x")

    def begun(self, at: str, *more: str) -> Tuple[Tuple[int, str, str], Optional[int]]:
        """What `dump` says, and the slot of the checkpoint that it began with."""
        used: List[Optional[int]] = []
        state_at = reader.state_at

        def noted(archive: Any, *rest: Any) -> Any:
            used.append(archive.start.window.last_slot if archive.start else None)
            return state_at(archive, *rest)

        with unittest.mock.patch.object(reader, "state_at", noted):
            answer = run("dump", self.path, "--at", at, "--explain", *more)
        return answer, used[0] if used else None

    def same(self, wanted: Dict[str, Optional[int]]) -> None:
        """Each answer is that of the log, and begins with the checkpoint wanted."""
        for at, slot in wanted.items():
            answer, used = self.begun(at)
            self.assertEqual((answer, used), (run("dump", self.path, "--at", at, "--explain", "--log-only"), slot), at)
            self.assertEqual(answer[0], 0, at)

    def names(self, at: str) -> Tuple[int, List[str]]:
        code, out, _ = run("dump", self.path, "--at", at)
        return code, [json.loads(line)["name"] for line in out.splitlines()]

    def test_an_answer_begins_with_the_newest_checkpoint_before_it_and_is_that_of_the_log(self) -> None:
        maker = Maker()
        segments = {1: maker.segment([], [entry(START)])}
        for slot in range(2, 9):
            lines = [rec(seq, "AMD"[slot % 3], "vm%d" % (seq % 3), body=obj("vm%d" % (seq % 3), str(seq))) for seq in range(4 * slot - 7, 4 * slot - 3)]
            if slot == 5:  # not kept, and in a window that goes on behind the checkpoint
                gap = {"group": "kubevirt.io", "resource": "virtualmachines", "from": START + 500, "to": START + 900, "cause": "expired"}
                lines[1] = rec(14, "G", gap=gap)
            segments[slot] = maker.segment(lines, [entry(START + slot * 4000)])
        points = check(segments, 3, 1, 2), check(segments, 5, 9)
        wanted = {"seq:7": None, "seq:8": 3, "seq:15": 3, "seq:16": 5, "seq:21": 5, "latest": 5, reader.format_time(START + 16000): 5,
                  reader.format_time(START + 15999): 3, reader.format_time(START + 8000): 3, reader.format_time(START + 7999): None}
        for windows in ([(1, 3), (4, 5)], [(1, 5)], [(1, 7)], [(1, 4), (5, 7)]):
            self.made(segments, windows, *points)
            self.same(wanted)
            for folder in ("hist", "log/0000"):  # of what it stands for, nothing is read
                answers = {at: self.begun(at) for at, slot in wanted.items() if slot == 5}
                for name in os.listdir(os.path.join(self.path, folder)):
                    if folder == "hist" or int(name, 16) <= 5:
                        os.remove(os.path.join(self.path, folder, name))
                for at, (answer, slot) in answers.items():
                    got, used = self.begun(at)
                    self.assertEqual((got[:2], used), (answer[:2], slot), (windows, folder, at))
            self.assertEqual(self.begun("latest", "--log-only")[0][0], 7)
        self.assertEqual(self.names("seq:7"), (1, []))

    def test_a_gap_that_ends_between_a_record_and_the_fence_behind_it_covers_that_record(self) -> None:
        gap = {"group": "kubevirt.io", "resource": "virtualmachines", "from": START, "to": START + 1500, "cause": "expired"}
        maker = Maker()
        segments = {1: maker.segment([], [entry(START)]), 2: maker.segment([rec(1, "G", gap=gap), rec(2, "S", body=obj("vm"), t=START + 1100)])}
        maker.watermark = START + 2000
        segments[3] = maker.segment([], [entry(START + 2000)])
        segments[4] = maker.segment([rec(3, "H")])
        self.made(segments, [(1, 3)], check(segments, 3, 3))
        self.same({"seq:2": None, reader.format_time(START + 1499): None, reader.format_time(START + 2000): 3, "latest": 3})
        self.assertEqual(len(json.loads(self.begun("seq:2")[0][2])["gaps"]), 1)

    def passed_over(self) -> Dict[int, bytes]:
        """Slot 3 was damaged, and is named by a gap in slot 6."""
        gap = {"group": "kubevirt.io", "resource": "virtualmachines", "from": START, "cause": "damage", "detail": "segments 3"}
        maker = Maker()
        return {1: maker.segment([], [entry(START)]), 2: maker.segment([rec(1, "S", body=obj("vm", "1"))], [entry(START + 1000)]),
                3: maker.segment([rec(2, "S", "ghost", body=obj("ghost", "2"))], [entry(START + 2000)]), 4: maker.segment([rec(3, "H")], [entry(START + 3000)]),
                5: maker.segment([], [entry(START + 3000)]), 6: maker.segment([rec(4, "G", gap=gap), rec(5, "G", gap={**gap, "to": START + 4000, "opened": 4})], [entry(START + 5000)]),
                7: maker.segment([rec(6, "H")], [entry(START + 6000)]), 8: maker.segment([rec(7, "H")], [entry(START + 7000)])}

    def test_no_checkpoint_is_used_beside_records_that_lie_in_no_window(self) -> None:
        segments, maker = self.passed_over(), Maker()
        maker.slot = 2
        left = {**segments, 3: maker.segment([], [entry(START + 2000)])}
        self.made(segments, [(1, 2), (4, 4)], check(left, 4, 4))
        self.same({"seq:3": None})
        self.assertEqual(self.names("seq:3"), (0, ["ghost", "vm"]))
        self.spoil(3)
        self.assertEqual((self.names("seq:3"), self.begun("seq:3")[1]), ((0, ["vm"]), 4))
        self.made(segments, [(1, 4), (6, 6)], check(segments, 6, 6, without=[[3, 3]]), check(segments, 7, 6, without=[[3, 3]]))
        self.spoil(3)
        self.assertEqual(self.begun("latest")[1], 6, "slot 5 is a fence; slot 7 lies in no window and has records")

    def test_answers_do_not_differ_where_the_home_of_an_object_changes_behind_a_checkpoint(self) -> None:
        used = 0
        for seed in range(8):
            dice, maker, seq = random.Random(seed), Maker(), 0
            segments = {1: maker.segment([], [entry(START)])}
            for slot in range(2, 8):
                lines = []
                for seq in range(seq + 1, seq + 1 + dice.randrange(1, 6)):
                    op, name, uid = dice.choice("AMSWNDX"), dice.choice("ab"), dice.choice(("u1", "u2"))
                    home = dice.choice(("", "ns/a", "ns/b", "z")) if slot > 3 else "ns/" + name
                    more: Dict[str, Any] = {"k": [home, "ns", name, "kubevirt.io", "VirtualMachine", "" if op == "N" else uid]}
                    more.update({"rv": str(seq), "reason": "r"} if op == "W" else {"reason": "r"} if op == "X" else {})
                    if op in "AMSN" and seq > 1 and dice.random() < 0.3:
                        more["from_"] = dice.randrange(max(1, seq - 8), seq)
                    lines.append(rec(seq, op, name, uid, obj(name, str(seq), uid) if op in "AMS" else None, **more))
                segments[slot] = maker.segment(lines, [entry(START + seq * 1000)])
            ends_from = dice.randrange(1, reader.read_footer(segments[3], len(segments[3]), ARCHIVE, 3).last_seq + 2)
            point = check(segments, 3, ends_from)
            self.made(segments, dice.choice(([(1, 3), (4, 6)], [(1, 6)], [(1, 2), (3, 5)])), *([point] if point[1] else []))
            for at in [f"seq:{at}" for at in range(1, seq + 1)] + ["latest"]:
                answer, begun = self.begun(at)
                self.assertEqual(answer, run("dump", self.path, "--at", at, "--explain", "--log-only"), (seed, at, begun))
                used += begun is not None
        self.assertGreater(used, 30)


class Manifests(unittest.TestCase):
    def code(self, data: bytes, n: int = 1, before: Optional[bytes] = None) -> str:
        try:
            parsed = reader.read_manifest(data, ARCHIVE, n)
            if before is not None:
                reader.check_manifest_follows(parsed, reader.read_manifest(before, ARCHIVE, n - 1))
        except reader.Problem as problem:
            return problem.code
        return "ok"

    def test_every_broken_manifest_gives_its_code(self) -> None:
        segments = busy()
        a, b, c = (roll(segments, *slots)[0] for slots in ((2, 2), (3, 3), (5, 6)))
        good = manifest(1, None, [a, b, c])
        self.assertEqual(self.code(good), "ok")
        self.assertEqual(self.code(manifest(1, None, [])), "ok")
        self.assertEqual(self.code(manifest(1, None, [{**a, "more": {"a": 1.5}}], other=None, z=[1])), "ok")
        text: List[Tuple[str, bytes]] = [
            ("E_TOO_LARGE", b" " * ((16 << 20) + 1)), ("E_MANIFEST", b""), ("E_MANIFEST", b"\n"), ("E_MANIFEST", good[:-1]), ("E_MANIFEST", good + b"\n"),
            ("E_MANIFEST", good.replace(b"[", b" [", 1)), ("E_MANIFEST", b'{"z":1,' + good[1:]), ("E_MANIFEST", good.replace(b'"n":1', b'"n":1,"n":1')),
            ("E_MANIFEST", good.replace(b'"test"', b'"\\u0074est"')), ("E_MANIFEST", good.replace(b'"test"', b'"\xff"')), ("E_MANIFEST", b"[]\n"),
            ("E_MANIFEST", good.replace(b'"n":1', b'"n":1.0')), ("E_MANIFEST", good.replace(b'"n":1', b'"n":1e0')), ("E_MANIFEST", b"[" * 9999 + b"\n")]
        changes: List[Tuple[str, Dict[str, Any]]] = [
            ("E_VERSION", {"format": "0.4"}), ("E_ENCRYPTED", {"format": "0.3"}), ("E_VERSION", {"format": "0.1", "n": "x"}), ("E_MANIFEST", {"format": 2}), ("E_MANIFEST", {"format": None}),
            ("E_ARCHIVE", {"archive": ARCHIVE.replace("0b", "0c")}), ("E_MANIFEST", {"archive": "x"}), ("E_MANIFEST", {"archive": None}), ("E_MANIFEST", {"n": 0}),
            ("E_NAME", {"n": 2}), ("E_MANIFEST", {"n": 1 << 63}), ("E_MANIFEST", {"n": None}), ("E_MANIFEST", {"prev": "0"}), ("E_MANIFEST", {"prev": None}),
            ("E_CHAIN", {"prev": "1" * 64}), ("E_MANIFEST", {"software": 1}), ("E_MANIFEST", {"written": 5}), ("E_MANIFEST", {"written": "x"}), ("E_MANIFEST", {"windows": {}}),
            ("E_MANIFEST", {"windows": [5]}), ("E_MANIFEST", {"windows": None}), ("E_MANIFEST", {"windows": [b, a]}), ("E_MANIFEST", {"windows": [a, a]}),
            ("E_MANIFEST", {"windows": [a, {**b, "firstSegment": 2}]}), ("E_MANIFEST", {"windows": [a, {**c, "firstSeq": 3, "lastSeq": 12}]}),
            ("E_MANIFEST", {"windows": [a, {**c, "firstTime": START}]}), ("E_CHAIN", {"windows": [a, {**b, "prev": "1" * 64}]}), ("E_ARCHIVE", {"archive": NIL1, "n": 7}),
            ("E_ARCHIVE", {"archive": NIL1, "windows": [b, a]}), ("E_ARCHIVE", {"archive": NIL1, "windows": [{**a, "level": 5}]}),
            ("E_MANIFEST", {"windows": [{**a, "lastSeq": (1 << 26) + 1, "parts": [{**a["parts"][0], "records": (1 << 26) + 1}]}]}),
            ("ok", {"windows": [{**a, "lastSeq": 1 << 26, "parts": [{**a["parts"][0], "records": 1 << 26}]}]}), ("E_NAME", {"n": 7, "windows": [b, a]}),
            ("E_SEQ", {"windows": [a, {**b, "firstSeq": 9, "lastSeq": 30}]}), ("ok", {"windows": [a, {**b, "firstSeq": 9, "lastSeq": 30, "prev": "0" * 64}]})]
        for member, values in {
                "level": (0, 5, True, None), "firstSegment": (0, 3, 1 << 63, None), "lastSegment": (1, "2", None), "firstSeq": (0, 2, None), "lastSeq": (0, 9, None),
                "firstTime": (5, START + 10**9, None), "lastTime": (START, 1.5, None), "prev": ("", "A" * 64, None), "head": (5, None), "root": ("0", None),
                "earliest": ([], {"lo": 5}, {"from": 0}, {"gap": "x"}, {"lo": None}, None),
                "parts": ([], {}, [5], a["parts"] * 2, [{**a["parts"][0], "records": 0}], [{**a["parts"][0], "records": 6}], [{**a["parts"][0], "size": 383}],
                          [{**a["parts"][0], "size": (128 << 20) + 1}], [{**a["parts"][0], "sha256": "x"}], [{"records": 7, "size": 999}], None,
                          [{**a["parts"][0], "records": 1}] * 4097)}.items():
            changes += [("E_MANIFEST", {"windows": [{key: item for key, item in {**a, member: value}.items() if item is not None}]}) for value in values]
        at_one = roll(segments, 1, 2)[0]
        changes += [("ok", {"windows": [at_one]}), ("E_MANIFEST", {"windows": [{**at_one, "prev": "1" * 64}]})]
        for number, (expected, data) in enumerate([*text, *((code, manifest(1, None, [a, b, c], **change)) for code, change in changes)]):
            self.assertEqual(self.code(data), expected, (number, data[:300]))

    def test_no_value_in_a_manifest_raises_anything_but_a_problem(self) -> None:
        good = json.loads(manifest(1, None, [roll(busy(), 2, 3, parts=2)[0]]))
        window = good["windows"][0]
        seen = set()
        for place in (good, window, window["parts"][1], window["earliest"]):
            for member in list(place):
                kept = place[member]
                for odd in (None, True, -1, 0, 1, 2, 1.5, 1 << 62, 1 << 64, "", "x", "é\n", "0" * 64, "1" * 64, [], [[]], {}, {"lo": 1}):
                    place[member] = odd
                    seen.add(self.code(json.dumps(good, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode() + b"\n"))
                place[member] = kept
        self.assertEqual(seen, {"ok", "E_MANIFEST", "E_VERSION", "E_NAME", "E_CHAIN"})

    def test_manifests_that_do_not_follow_give_their_codes(self) -> None:
        segments = busy()
        a, b, c, all_of_it, front = (roll(segments, *slots)[0] for slots in ((2, 2), (3, 3), (5, 6), (2, 6), (1, 5)))
        before = manifest(1, None, [a, b, c])
        for expected, windows, more in (
                ("ok", [a, b, c], {}), ("ok", [all_of_it], {}), ("ok", [roll(segments, 1, 3)[0], c], {}), ("ok", [{**a, "level": 3, "parts": [{**a["parts"][0], "size": 999}]}, b, c], {}),
                ("ok", [a, b, roll(segments, 5, 5)[0], roll(segments, 6, 6)[0]], {}), ("ok", [{**a, "stale": True}, b, c], {}),
                ("E_MANIFEST", [a, b, roll(segments, 5, 5)[0], {**roll(segments, 6, 6)[0], "head": "1" * 64}], {}),
                ("E_MANIFEST", [a, b, {**roll(segments, 5, 5)[0], "prev": "1" * 64}, roll(segments, 6, 6)[0]], {}),
                ("E_MANIFEST", [a, roll(segments, 3, 5)[0], roll(segments, 6, 6)[0]], {}),
                ("E_MANIFEST", [a, b, roll(segments, 5, 5)[0], {**roll(segments, 6, 6)[0], "prev": "0" * 64}], {}), ("E_MANIFEST", [a, b, roll(segments, 5, 5)[0]], {}),
                ("E_MANIFEST", [a, b, roll(segments, 6, 6)[0]], {}), ("E_MANIFEST", [{**a, "root": "0" * 64}, b, c], {}),
                ("E_MANIFEST", [{**a, "firstTime": START}, b, c], {}), ("E_MANIFEST", [a, {**b, "head": "1" * 64}, c], {}), ("E_MANIFEST", [a, b], {}), ("E_MANIFEST", [a, c], {}),
                ("E_MANIFEST", [], {}), ("E_MANIFEST", [front], {}), ("E_MANIFEST", [b, c], {}), ("E_CHAIN", [a, b, c], {"prev": "0" * 64}),
                ("E_TIME", [a, b, c], {"written": START}), ("ok", [a, b, c], {"written": START + 1})):
            self.assertEqual(self.code(manifest(2, before, windows, **more), 2, before), expected, (len(windows), more))

    def test_every_flipped_bit_of_a_manifest_is_detected_or_changes_nothing_that_is_read(self) -> None:
        """Harmless: `software`, which nobody reads, and a `written` that is still a time not before that of the manifest before. Everything else
        is found in the manifest or in the bundle that it names; and behind another manifest every bit is found, by its hash."""
        segments = busy()
        window, bundles = roll(segments, 2, 2)
        data = manifest(2, manifest(1, None, []), [window])
        first = reader.read_manifest(manifest(1, None, []), ARCHIVE, 1)
        free = {at for member in (b'"software":"', b'"written":') for at in range(data.index(member) + len(member), data.index(member) + len(member) + (4 if b"soft" in member else 16))}
        after = manifest(3, data, [window])
        harmless = set()
        for at in range(len(data)):
            for bit in range(8):
                changed = bytearray(data)
                changed[at] ^= 1 << bit
                try:
                    parsed = reader.read_manifest(bytes(changed), ARCHIVE, 2)
                    reader.check_manifest_follows(parsed, first)
                except reader.Problem:
                    continue
                with self.assertRaises(reader.Problem):
                    reader.check_manifest_follows(reader.read_manifest(after, ARCHIVE, 3), parsed)
                told = json.loads(bytes(changed))["windows"][0]
                if told["parts"][0]["sha256"] not in bundles or told != window and whole(told, bundles) != "ok":
                    continue
                harmless.add(at)
        self.assertLessEqual(harmless, free)
        self.assertLess(3, len(harmless))


SEEDS = range(int(os.environ.get("READER_LIVES", "6")))  # more of them: READER_LIVES=1000
NIL1 = "00000000-0000-0000-0000-000000000001"


if __name__ == "__main__":
    unittest.main()
