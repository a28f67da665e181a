"""Damaged files of every format: a scan or an error of one sentence, in bounded time and memory.

`python bench/fuzz.py --files 10000` mutates a scan of each format: bytes changed, cut
out, repeated and swapped, numbers set to the ends of their ranges, the file cut off. Each mutated
file is read in a process of limited memory that is watched by the clock. A crash, a time beyond
`MOST_SECONDS`, an error of another kind, a sentence of several lines, or counts that are no scan
are printed with the format and the seed, and make the exit status 1.

10,000 files of each format, seeds 0 to 9,999 (2026-11-29, two busy cores, pylibjpeg-libjpeg 2.5):
no fault. Memory is what the process took beyond that of a whole file.

    format          scan  sentence  left out  longest   memory
    mat6           1,998     8,002         -   0.03 s     8 MB
    mat7           1,601     8,399         -   0.35 s    46 MB
    mat73            429     9,571         -   0.06 s     4 MB
    dicom          2,503     6,228     1,269   0.49 s    38 MB
    dicom-jpeg2000 1,435     7,290     1,275   0.58 s    13 MB
    dicom-rle        372     8,356     1,272   0.50 s    25 MB
    dicom-jpeg       882     6,440     2,678   0.19 s    27 MB
"""

import argparse
import io
import json
import os
import re
import resource
import select
import subprocess
import sys
import tempfile
import time
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray
from scipy.io import savemat

from djd.data.formats.dicom_headers import dicom_scans
from djd.data.phantom.dicom import dicom_bytes
from djd.data.scan import SCAN_SHAPE, ScanError, ScanFiles, read_scan, require_image
from djd.wording import in_bytes

MOST_SECONDS = 5
MOST_BYTES = 2**30
FORMATS = ("mat6", "mat7", "mat73", "dicom", "dicom-jpeg2000", "dicom-rle", "dicom-jpeg")
_ENDS = (0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF)
"""Values at which sizes and offsets go wrong."""
_NO_MEMORY = re.compile("MemoryError|Unable to allocate")
"""Python and NumPy. HDF5 refuses absurd sizes with other words, and takes no memory for them."""
_HEADER_BYTES = 4096
"""Most changes fall within: the rest of a file is pixels."""


def seed_file(kind: str) -> bytes:
    """A whole file of a format; `dicom-jpeg` is pydicom's real scan in JPEG of 12 bits."""
    if kind == "dicom-jpeg":
        from pydicom.data import get_testdata_file

        return Path(str(get_testdata_file("JPGExtended.dcm"))).read_bytes()
    rows = np.linspace(20, 2, SCAN_SHAPE[1])[:, np.newaxis]
    counts = np.random.default_rng(0).poisson(rows, size=SCAN_SHAPE).astype(np.uint16)
    if kind == "mat73":
        return _mat73(counts)
    if kind.startswith("mat"):
        return _mat5(counts, compress=kind == "mat7")
    return _dicom(counts, kind)


def _mat5(counts: NDArray[np.uint16], *, compress: bool) -> bytes:
    names = np.empty((1, 2), dtype=object)
    names[:] = [["normal", "sevDJD"]]
    labels = {"kneejointid": np.array([[2.0, 6.0]]), "kneejointname": names}
    file = io.BytesIO()
    content: Any = {"Y": np.moveaxis(counts, 0, -1), "diaginfo": labels}
    savemat(file, content, do_compression=compress)  # type: ignore[arg-type]
    return file.getvalue()


def _mat73(counts: NDArray[np.uint16]) -> bytes:
    memory = io.BytesIO()
    with h5py.File(memory, "w") as file:
        image = np.moveaxis(counts, 0, -1).T
        file.create_dataset("Y", data=image, chunks=(1, 64, 256), compression="gzip")
        file["Y"].attrs["MATLAB_class"] = np.bytes_("uint16")
        labels = file.create_group("diaginfo")
        labels.attrs["MATLAB_class"] = np.bytes_("struct")
        labels["kneejointid"] = np.array([[2.0], [6.0]])
        labels["kneejointid"].attrs["MATLAB_class"] = np.bytes_("double")
        texts = [
            file.create_dataset(f"#refs#/{name}", data=_codes(name)) for name in ("normal", "x")
        ]
        for text in texts:
            text.attrs["MATLAB_class"] = np.bytes_("char")
        references = np.array([[each.ref] for each in texts], dtype=h5py.ref_dtype)
        labels.create_dataset("kneejointname", data=references)
    return memory.getvalue()


def _codes(text: str) -> NDArray[np.uint16]:
    return np.array([[ord(letter)] for letter in text], dtype=np.uint16)


def _dicom(counts: NDArray[np.uint16], kind: str) -> bytes:
    whole = dicom_bytes(counts, "0000001", "fuzz")
    if kind == "dicom":
        return whole
    import pydicom
    from pydicom.uid import JPEG2000Lossless, RLELossless

    image = pydicom.dcmread(io.BytesIO(whole))
    syntax = JPEG2000Lossless if kind == "dicom-jpeg2000" else RLELossless
    image.compress(syntax, generate_instance_uid=False)
    file = io.BytesIO()
    image.save_as(file)
    return file.getvalue()


def mutated(whole: bytes, seed: int) -> bytes:
    """The file with one to eight changes; every other compressed MATLAB file changes unpacked."""
    rng = np.random.default_rng(seed)
    if whole[_MAT_HEADER : _MAT_HEADER + 4] == _COMPRESSED and seed % 2:
        return _repacked(whole, rng)
    return _changed(whole, rng)


def _changed(whole: bytes, rng: np.random.Generator) -> bytes:
    content = bytearray(whole)
    for _ in range(rng.integers(1, 9)):
        if not content:
            break
        _CHANGES[rng.integers(len(_CHANGES))](content, rng)
    return bytes(content)


_MAT_HEADER = 128
_COMPRESSED = (15).to_bytes(4, "little")


def _repacked(whole: bytes, rng: np.random.Generator) -> bytes:
    """A compressed MATLAB file one of whose variables changed before it was compressed."""
    variables, at = [], _MAT_HEADER
    while at < len(whole):
        end = at + 8 + int.from_bytes(whole[at + 4 : at + 8], "little")
        variables.append(zlib.decompress(whole[at + 8 : end]))
        at = end
    chosen = int(rng.integers(len(variables)))
    variables[chosen] = _changed(variables[chosen], rng)
    packed = [zlib.compress(each, 1) for each in variables]
    tagged = [_COMPRESSED + len(each).to_bytes(4, "little") + each for each in packed]
    return whole[:_MAT_HEADER] + b"".join(tagged)


def _place(content: bytearray, rng: np.random.Generator) -> int:
    near_start = rng.random() < 0.7
    return int(rng.integers(min(len(content), _HEADER_BYTES) if near_start else len(content)))


def _bits(content: bytearray, rng: np.random.Generator) -> None:
    for _ in range(rng.integers(1, 5)):
        content[_place(content, rng)] ^= 1 << int(rng.integers(8))


def _bytes(content: bytearray, rng: np.random.Generator) -> None:
    at, size = _place(content, rng), int(rng.integers(1, 17))
    content[at : at + size] = rng.bytes(size)


def _number(content: bytearray, rng: np.random.Generator) -> None:
    at, size = _place(content, rng), int(rng.choice([1, 2, 4, 8]))
    value = int(rng.choice(_ENDS)) % 2 ** (8 * size)
    content[at : at + size] = value.to_bytes(size, "little" if rng.random() < 0.7 else "big")


def _cut(content: bytearray, rng: np.random.Generator) -> None:
    at = _place(content, rng)
    del content[at : at + int(rng.integers(1, 2 ** rng.integers(1, 17)))]


def _repeat(content: bytearray, rng: np.random.Generator) -> None:
    at, size = _place(content, rng), int(rng.integers(1, 2 ** rng.integers(1, 13)))
    content[at:at] = content[at : at + size]


def _swap(content: bytearray, rng: np.random.Generator) -> None:
    one, other, size = _place(content, rng), _place(content, rng), int(rng.integers(1, 65))
    first, second = content[one : one + size], content[other : other + size]
    content[one : one + len(second)], content[other : other + len(first)] = second, first


def _end(content: bytearray, rng: np.random.Generator) -> None:
    del content[_place(content, rng) :]


_CHANGES: tuple[Callable[[bytearray, np.random.Generator], None], ...] = (
    *(_bits, _bytes, _number, _number, _cut, _repeat, _swap, _end),
)


def outcome(content: bytes, kind: str, folder: Path) -> str:
    """`scan`, `left out` or `sentence`: what a mutated file is; anything else is a fault."""
    path = folder / ("fuzz.dcm" if kind.startswith("dicom") else "fuzz.mat")
    path.write_bytes(content)
    try:
        files = ScanFiles.of(path)
        if kind.startswith("dicom"):
            found = dicom_scans([path]).scans
            if not found:
                return "left out"
            files = ScanFiles("fuzz", found[0].paths, problem=found[0].problem)
        require_image(read_scan(files, needs_labels=False, view_order="anterior"))
    except ScanError as error:
        sentence = str(error)
        if _NO_MEMORY.search(sentence):
            return f"asked for too much memory: {sentence}"
        return "sentence" if "\n" not in sentence else f"several lines: {sentence}"
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return "scan"


def _work(kind: str) -> None:
    """Read a seed a line, and answer each with the outcome and its seconds, in limited memory."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    whole = seed_file(kind)
    with tempfile.TemporaryDirectory() as folder:
        outcome(whole, kind, Path(folder))  # imports, before the memory is limited
        addresses = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
        most = addresses * resource.getpagesize() + MOST_BYTES
        resource.setrlimit(resource.RLIMIT_AS, (most, most))
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        print(json.dumps(["ready", 0, 0]), flush=True)
        for line in sys.stdin:
            start = time.monotonic()
            found = outcome(mutated(whole, int(line)), kind, Path(folder))
            most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 - before
            print(json.dumps([found, time.monotonic() - start, most]), flush=True)


class Worker:
    """A process that reads mutated files of a format, and is started again when it dies."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self._start()

    def _start(self) -> None:
        command = [sys.executable, __file__, "--work", self.kind]
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
        )
        self._answer(60)

    def ask(self, seed: int) -> tuple[str, float, int]:
        """The outcome of a seed, its seconds, and the bytes that the process took so far."""
        if self._process.poll() is not None:
            self._start()
        assert self._process.stdin
        self._process.stdin.write(f"{seed}\n")
        self._process.stdin.flush()
        return self._answer(MOST_SECONDS)

    def _answer(self, seconds: float) -> tuple[str, float, int]:
        assert self._process.stdout
        if not select.select([self._process.stdout], [], [], seconds)[0]:
            self.close()
            return f"more than {seconds} seconds", seconds, 0
        line = self._process.stdout.readline()
        if not line:
            return f"died with {self._process.wait()}", 0.0, 0
        found, taken, most = json.loads(line)
        return found, taken, most

    def close(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.wait()


def faults(kind: str, seeds: range) -> Iterator[tuple[int, str]]:
    """Seeds whose outcome is a fault, and prints how many files became what."""
    worker, outcomes, longest, most = Worker(kind), Counter[str](), 0.0, 0
    for seed in seeds:
        found, seconds, size = worker.ask(seed)
        longest, most = max(longest, seconds), max(most, size)
        outcomes[found if found in ("scan", "sentence", "left out") else "FAULT"] += 1
        if found not in ("scan", "sentence", "left out"):
            yield seed, found
    worker.close()
    print(f"{kind}: {dict(outcomes)}, longest {longest:.2f} s, {in_bytes(most)}", flush=True)


def main() -> int:
    """Fuzz each format; status 1 where a file was a fault."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=10_000)
    parser.add_argument("--first", type=int, default=0, help="first seed")
    parser.add_argument("--formats", nargs="+", default=FORMATS, choices=FORMATS)
    parser.add_argument("--work", choices=FORMATS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.work:
        _work(options.work)
        return 0
    status = 0
    for kind in options.formats:
        for seed, found in faults(kind, range(options.first, options.first + options.files)):
            print(f"FAULT {kind} {seed}: {found}", flush=True)
            status = 1
    return status


if __name__ == "__main__":
    sys.exit(main())
