"""Another program's reader, written from docs/archive-format.md alone.

Imports nothing of ours. zstd and age are the commands; it uses no library that we use.
"""

import hashlib
import json
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

BLOCK = 512
SEAL = 1024
END = bytes(1024)
SEAL_MEMBERS = {"format", "encryption", "manifest", "members", "signature"}
NAME = "backup-operator.config-archive"


class DamagedError(Exception):
    """The archive is not what the page says."""


def demand(holds: object, what: str) -> None:
    if not holds:
        raise DamagedError(what)


def run(*command: str, content: bytes) -> bytes:
    done = subprocess.run(command, input=content, capture_output=True, check=False, timeout=200)
    demand(done.returncode == 0, f"{command[0]}: {done.stderr.decode(errors='replace')}")
    return done.stdout


def tar_header(path: str, size: int, mtime_s: int) -> bytes:
    """Build a header by the table under *Outer form*."""
    fields = [
        path.encode().ljust(100, b"\0"),
        b"0000600\0" + b"0000000\0" * 2,
        f"{size:011o}\0{mtime_s:011o}\0".encode(),
        b" " * 8,
        b"0" + bytes(100),
        b"ustar\0" + b"00",
        bytes(32 + 32),
        bytes(8 + 8),
        bytes(155 + 12),
    ]
    header = b"".join(fields)
    checksum = f"{sum(header):06o}\0 ".encode()
    return header[:148] + checksum + header[156:]


class StrangersReader:
    """Reads, checks and lists one archive; ``identity`` is an age identity file."""

    def __init__(self, content: bytes, identity: Path | None = None) -> None:
        self.content = content
        self.identity = identity
        demand(len(content) >= BLOCK + SEAL + len(END) and content.endswith(END), "no end")
        block = content[-len(END) - SEAL : -len(END)]
        self.seal = self.document(block)
        self.table = self.document(self.member(self.seal.get("members")))

    def document(self, content: bytes) -> dict[str, Any]:
        try:
            found: dict[str, Any] = json.loads(content)
            form = found["format"]
        except (ValueError, KeyError, TypeError) as trouble:
            raise DamagedError("no document") from trouble
        demand(form["name"] == NAME and form["major"] == 1, f"unknown format {form}")
        return found

    def member(self, place: Any) -> bytes:  # noqa: ANN401 - whatever the archive holds
        try:
            begin, size, digest = place["offset"], place["sizeBytes"], place["sha256"]
        except (KeyError, TypeError) as trouble:
            raise DamagedError("no place") from trouble
        content = self.content[begin : begin + size]
        demand(hashlib.sha256(content).hexdigest() == digest, f"digest of {place}")
        return content

    def open(self, place: dict[str, Any]) -> bytes:
        """Return a part or index, decrypted and decompressed."""
        demand(place["codec"] == "zstd", "unknown codec")
        frame = self.decrypt(self.member(place), place["encryption"])
        raw = run("zstd", "--decompress", "--stdout", content=frame)
        demand(len(raw) == place["rawBytes"], "rawBytes")
        return raw

    def decrypt(self, content: bytes, encryption: str) -> bytes:
        demand(encryption in {"none", "age"}, "unknown encryption")
        if encryption == "none":
            return content
        return run("age", "--decrypt", "--identity", str(self.identity), content=content)

    def manifest(self) -> dict[str, Any]:
        content = self.member(self.seal["manifest"])
        return self.document(self.decrypt(content, self.seal["encryption"]))

    def check_stored_bytes(self) -> None:
        """Check points 1 to 4 of *Checking an archive*: no key is needed."""
        seal, table = self.seal, self.table
        demand(seal.keys() == SEAL_MEMBERS and "members" in table, "members")
        line = json.dumps(seal, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        written = line.encode().ljust(SEAL - 1) + b"\n"
        demand(self.content[-len(END) - SEAL : -len(END)] == written, "seal")
        header = self.document(self.member(table["members"][0]))
        demand(seal["format"] == table["format"] == header["format"], "formats")
        demand(seal.get("encryption") == header.get("encryption"), "encryptions")
        suffix = ".age" if seal["encryption"] == "age" else ""
        parts = (len(table["members"]) - 2) // 2
        paths = ["header.json"]
        for number in range(1, parts + 1):
            name = f"{number:06d}.ndjson.zst{suffix}"
            paths += [f"parts/{name}", f"index/{name}"]
        paths.append(f"manifest.json{suffix}")
        demand([place["path"] for place in table["members"]] == paths, "paths")
        demand(table["members"][-1] == seal["manifest"], "manifest's place")
        last = [seal["members"], *([seal["signature"]] if seal["signature"] else [])]
        demand(last[0]["path"] == "members.json", "table's path")
        demand(len(last) == 1 or last[1]["path"] == "members.json.sig", "signature's path")
        mtime_s = header["backup"]["timeInitiatedMs"] // 1000
        rebuilt = b""
        for place in [*table["members"], *last]:
            content = self.member(place)
            rebuilt += tar_header(place["path"], len(content), mtime_s)
            demand(len(rebuilt) == place["offset"], f"offset of {place['path']}")
            rebuilt += content + bytes(-len(content) % BLOCK)
        rebuilt += tar_header("seal.json", SEAL, mtime_s) + written + END
        demand(rebuilt == self.content, "bytes that no digest covers")

    def objects(self) -> Iterator[dict[str, Any]]:
        """Yield every object, its index checked (points 6 to 8)."""
        manifest = self.manifest()
        demand(manifest["parts"] or not manifest["totals"]["objects"], "totals")
        count = 0
        for part in manifest["parts"]:
            raw, index = self.open(part), self.open(part["index"])
            end = 0
            entries = [json.loads(line) for line in index.splitlines()]
            demand(len(entries) == part["objects"], "objects of a part")
            for entry in entries:
                demand(entry["offset"] == end, "gap")
                line = raw[end : end + entry["length"]]
                end += entry["length"] + 1
                demand(raw[end - 1 : end] == b"\n", "line feed")
                demand(hashlib.sha256(line).hexdigest() == entry["sha256"], "digest of an object")
                demand(entry["resource"] == part["resource"], "resource")
                count += 1
                yield json.loads(line)
            demand(end == len(raw), "rest of a part")
        demand(count == manifest["totals"]["objects"], "totals")
        demand(count == sum(made["objects"] for made in manifest["lists"]), "lists")

    def certificates(self) -> Sequence[str]:
        signature = self.document(self.member(self.seal["signature"]))
        found: Sequence[str] = signature["certificates"]
        return found
