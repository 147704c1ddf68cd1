"""Downloads from a web server on this machine that serves well or badly."""

from __future__ import annotations

import gzip
import ssl
import subprocess
import sys
import time
import urllib.error
from collections.abc import Callable
from pathlib import Path

import pytest

from surefoot.errors import InputError
from surefoot.train.data import load
from surefoot.train.data.download import cache_folder, fetch
from surefoot.train.data.published import FILES, PUBLISHED

FIRST = "train-images-idx3-ubyte.gz"
ELSEWHERE = "set $SUREFOOT_CACHE to another folder for downloads."
OFFLINE = "if you have the files in a folder, --data-dir FOLDER needs no network."

# what a process of its own runs: fetch a data set whose mirrors and checksums it is told
CHILD = """
import sys
from surefoot.train.data.download import fetch
from surefoot.train.data.published import FILES, Published
from surefoot.errors import InputError
mirror, *sums = sys.argv[1:]
try:
    fetch(Published("tiny", (mirror,), dict(zip(FILES, sums)), ()))
except InputError as error:
    print(error)
    sys.exit(2)
assert "torch" not in sys.modules
"""


def child(tiny, mirror: str, before: str = "") -> subprocess.Popen[str]:
    sums = [tiny.sha256[name] for name in FILES]
    command = [sys.executable, "-c", before + CHILD, mirror, *sums]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name.removesuffix(".gz"): gzip.decompress(path.read_bytes()) for path in folder.glob("*.gz")}


def test_downloads_once_then_needs_no_network(tiny, server, cache, files):
    folder = fetch(tiny)
    assert folder == cache / "tiny"
    assert contents(folder) == files
    assert {path.name for path in folder.iterdir()} - {".lock"} == {f"{name}.gz" for name in FILES}
    asked = len(server.log)
    assert fetch(tiny) == folder
    assert asked == len(server.log) == 4


@pytest.mark.parametrize(
    ("bad", "says"),
    [
        ("404", "answers 404 Not Found"),
        ("500", "answers 500 Internal Server Error"),
        ("corrupt", "has a corrupt gzip file"),
        ("page", "has a corrupt gzip file"),
        (
            "wrong",
            "has the SHA-256 f41f3fa625ff120ddca7ef456bf66371ecea23c129f4e4c32367101edb516cf8, not {right}",
        ),
        ("silent", "did not answer for 1 s"),
        ("stall", "did not answer for 1 s after 4,096 of {size:,} bytes"),
        ("chunked", "broke off after 4,096 bytes"),
        ("cutsame", "broke off after {half:,} of {size:,} bytes"),
    ],
)
def test_a_bad_mirror_is_named_and_the_next_one_serves(bad, says, tiny, server, cache, files):
    with pytest.raises(InputError) as caught:
        fetch(tiny, mirrors=[server.url(bad)], timeout=1)
    size = len(server.gz[FIRST])
    says = says.format(right=tiny.sha256["train-images-idx3-ubyte"], half=(size + 1) // 2, size=size)
    assert str(caught.value) == f"Cannot download {FIRST} of tiny: {server.url(bad)} {says}; {OFFLINE}"
    assert not list(cache.glob("**/*-ubyte.gz"))
    fetch(tiny, mirrors=[server.url(bad), server.url("good")], timeout=1)
    assert contents(cache / "tiny") == files


def test_no_mirror_can_be_reached(tiny, server, cache):
    nowhere = "http://127.0.0.1:9/"  # nothing listens on the discard port
    with pytest.raises(InputError) as caught:
        fetch(tiny, mirrors=[nowhere, server.url("404"), "nonsense"])
    assert str(caught.value) == (
        f"Cannot download {FIRST} of tiny: {nowhere} cannot be reached (Connection refused);"
        f" {server.url('404')} answers 404 Not Found;"
        f" nonsense cannot be reached (unknown url type: 'nonsense/{FIRST}'); {OFFLINE}"
    )


def test_a_python_without_certificates_is_told_how_to_get_them(tiny, cache, monkeypatch):
    def refused(*_, **__):
        raise urllib.error.URLError(ssl.SSLCertVerificationError(1, "certificate verify failed"))

    monkeypatch.setattr("urllib.request.urlopen", refused)
    monkeypatch.setattr(sys, "platform", "darwin")
    with pytest.raises(InputError, match=r"until its 'Install Certificates\.command' was run; if you have"):
        fetch(tiny, mirrors=["https://nowhere/"])


def test_a_cut_connection_is_resumed_and_no_byte_comes_twice(tiny, server, cache, files):
    fetch(tiny, mirrors=[server.url("cut")])
    assert contents(cache / "tiny") == files
    ranges = [wanted for _, wanted in server.asked(FIRST)]
    size = len(server.gz[FIRST])
    assert ranges[:3] == [
        None,
        f"bytes={(size + 1) // 2}-",
        f"bytes={(size + 1) // 2 + (size // 2 + 1) // 2}-",
    ]
    assert server.sent[FIRST] == size


def test_a_killed_process_is_resumed_by_the_next(tiny, server, cache, files):
    killed = child(tiny, server.url("stall"))
    part = cache / "tiny" / f"{FIRST}.part"
    try:
        wait_until(lambda: part.exists() and part.stat().st_size == 4096, killed)
    finally:
        killed.kill()
        killed.communicate()
    fetch(tiny)
    assert server.asked(FIRST) == [("stall", None), ("good", "bytes=4096-")]
    assert server.sent[FIRST] == len(server.gz[FIRST])
    assert contents(cache / "tiny") == files


def test_a_mirror_that_ignores_range_is_read_from_the_beginning(tiny, server, cache, files):
    leave_part(cache, server.gz[FIRST][:5000])
    fetch(tiny, mirrors=[server.url("norange")])
    assert contents(cache / "tiny") == files
    assert server.sent[FIRST] == len(server.gz[FIRST])


@pytest.mark.parametrize("extra", [0, 100])
def test_a_part_that_is_whole_already_or_too_long(extra, tiny, server, cache, files):
    leave_part(cache, server.gz[FIRST] + b"x" * extra)
    fetch(tiny)
    assert contents(cache / "tiny") == files
    assert len(server.asked(FIRST)) == (2 if extra else 1)


def test_a_part_of_another_mirrors_file_is_begun_anew(tiny, server, cache, files):
    leave_part(cache, b"\x1f\x8b of another file" * 100)
    fetch(tiny)
    assert contents(cache / "tiny") == files
    assert [wanted for _, wanted in server.asked(FIRST)] == ["bytes=1800-", None]


def test_mirrors_that_compress_differently_and_give_no_length(tiny, server, cache, files):
    fetch(tiny, mirrors=[server.url("stall"), server.url("repacked")], timeout=1)
    assert contents(cache / "tiny") == files
    cache.joinpath("tiny", FIRST).unlink()
    fetch(tiny, mirrors=[server.url("nolength")])
    assert contents(cache / "tiny") == files


def test_the_mirror_that_served_is_asked_first_for_the_next_file(tiny, server, cache):
    fetch(tiny, mirrors=[server.url("404"), server.url("good")])
    assert [how for how, _, _ in server.log] == ["404", "good", "good", "good", "good"]


def test_two_processes_at_once_download_once(tiny, server, cache, files):
    both = [child(tiny, server.url("slow")) for _ in range(2)]
    said = [process.communicate(timeout=60) for process in both]
    assert [process.returncode for process in both] == [0, 0], said
    assert contents(cache / "tiny") == files
    assert server.sent == {name: len(data) for name, data in server.gz.items()}
    told = f"Downloading tiny to {cache / 'tiny'} …\n"
    waited = "Waiting for another process that is downloading tiny …\n"
    assert sorted(err for _, err in said) in ([told, waited], ["", told])  # "": it came when all was done


def test_a_cache_that_cannot_be_made(tiny, cache):
    cache.parent.mkdir(exist_ok=True)
    cache.write_text("a file where the folder should be")
    with pytest.raises(InputError) as caught:
        fetch(tiny)
    assert str(caught.value) == (f"Cannot write to {cache / 'tiny'}: Not a directory; {ELSEWHERE}")


@pytest.mark.skipif(sys.platform == "win32", reason="needs a limit on the size of files")
def test_a_full_disk(tiny, server, cache, files):
    limit = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (8192, 8192))\n"
    full = child(tiny, server.url("good"), before=limit)
    out, err = full.communicate(timeout=60)
    assert (full.returncode, out, err) == (
        2,
        f"Cannot write to {cache / 'tiny'}: File too large; {ELSEWHERE}\n",
        f"Downloading tiny to {cache / 'tiny'} …\n",
    )
    assert (cache / "tiny" / f"{FIRST}.part").stat().st_size == 8192  # nothing lost:
    fetch(tiny)
    assert server.asked(FIRST)[-1] == ("good", "bytes=8192-")
    assert contents(cache / "tiny") == files


def test_the_cache_folder(monkeypatch, tmp_path):
    monkeypatch.setenv("SUREFOOT_CACHE", str(tmp_path))
    assert cache_folder() == tmp_path
    monkeypatch.delenv("SUREFOOT_CACHE")
    assert cache_folder().name == "surefoot"


def test_load_downloads_and_mends_a_damaged_cache(tiny, server, cache, monkeypatch):
    monkeypatch.setitem(PUBLISHED, "mnist", tiny)
    monkeypatch.setenv("SUREFOOT_MIRRORS", f"{server.url('404')}  {server.url('good')}")
    data = load("mnist")
    assert (len(data.train), len(data.valid), data.outputs) == (50, 20, 10)
    damaged = cache / "tiny" / FIRST
    damaged.write_bytes(damaged.read_bytes()[:1000])
    server.log.clear()
    assert (load("mnist").train.x == data.train.x).all()
    assert [file for _, file, _ in server.log] == [FIRST, FIRST]  # 404, then good; the other three stay


def test_mirrors_may_hold_each_data_set_in_a_folder_of_its_name(tiny, server, cache, monkeypatch):
    monkeypatch.setenv("SUREFOOT_MIRRORS", f"http://127.0.0.1:{server.server_port}/{{name}}/")
    with pytest.raises(InputError, match="/tiny/ answers 500"):
        fetch(tiny)


@pytest.mark.parametrize("data", PUBLISHED.values(), ids=lambda data: data.name)
def test_each_published_data_set_has_several_mirrors_and_all_checksums(data):
    assert len(data.mirrors) >= 2
    assert all(mirror.startswith("http") and mirror.endswith("/") for mirror in data.mirrors)
    assert tuple(data.sha256) == FILES
    assert all(len(digest) == 64 for digest in data.sha256.values())
    assert len(data.classes) == 10


def leave_part(cache: Path, data: bytes) -> None:
    (cache / "tiny").mkdir(parents=True)
    (cache / "tiny" / f"{FIRST}.part").write_bytes(data)


def wait_until(done: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    for _ in range(1000):
        if done():
            return
        assert process.poll() is None, process.communicate()
        time.sleep(0.02)
    raise AssertionError("nothing happened for 20 s")
