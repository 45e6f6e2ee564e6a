"""Tests of reader.py, with a small writer of their own. Run: `.venv/bin/python -m unittest discover -s spec`.

Does not: use anything of the program; the vectors are run by `reader.py vectors spec/vectors`.
"""
from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import random
import struct
import subprocess
import sys
import tempfile
import unittest
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


class Maker:
    """Writes segments. `hooks` change one thing each, before whatever covers it is computed."""

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
        body = b"".join(frames) + index_frame
        f.update(index_offset=offset, index_length=len(index_frame), index_content=len(index_content), body_length=len(body),
                 body_hash=sha(body + public), index_hash=sha(index_frame))
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
            self.assertEqual((code, out.count("FACT 3 -: seq 2: slot 2 says")), (expected, expected // 7), out)

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
            ("E_FEATURE", identity(encryption="age")), ("E_FEATURE", identity(features={"read": ["x"], "write": [], "maintain": []})),
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

    def test_history_below_man_is_refused(self) -> None:
        write_archive(self.path, history())
        os.makedirs(os.path.join(self.path, "man", "x"))
        self.assertEqual(run("verify", self.path)[0], 0)
        with open(os.path.join(self.path, "man", "x", "1"), "wb"):
            pass
        self.assertRegex(run("log", self.path)[2], "^E_VERSION ")

    def test_vectors_are_compared_by_code_and_by_digest(self) -> None:
        import base64
        os.makedirs(self.path)

        def vector(name: str, data: bytes, **headers: str) -> None:
            with open(os.path.join(self.path, name), "wb") as file:
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


if __name__ == "__main__":
    unittest.main()
