"""Published data sets into the cache folder: several mirrors, resumed when cut off, verified, atomic."""

from __future__ import annotations

import gzip
import hashlib
import http.client
import os
import ssl
import sys
import urllib.error
import urllib.request
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout
from tqdm.auto import tqdm

import surefoot
from surefoot.errors import InputError
from surefoot.train.cache import cache_folder
from surefoot.train.data.published import FILES, Published
from surefoot.train.saying import say

__all__ = ["fetch"]

TIMEOUT = 20.0  # seconds without a byte before the next mirror is tried
_BLOCK = 1 << 16


def fetch(
    data: Published, *, mirrors: Sequence[str] | None = None, timeout: float = TIMEOUT, recheck: bool = False
) -> Path:
    """Make sure that the four files of a data set are in the cache folder; download those that are not.

    Several processes may do so at once: one downloads, the others wait for it.

    Args:
        data: which one.
        mirrors: folders on the web to take it from; None takes $SUREFOOT_MIRRORS (separated by spaces, {name}
            standing for the data set's), or else the data set's own.
        timeout: seconds without a byte before the next mirror is tried.
        recheck: verify the files that are there, and download those again that are damaged.

    Returns:
        The folder that holds the four files, gzipped.

    Raises:
        InputError: no mirror gave a file with the right SHA-256, or the cache folder can't be written.
    """
    folder = cache_folder() / data.name
    if not recheck and all((folder / f"{name}.gz").exists() for name in FILES):
        return folder  # without the lock: a cache that only can be read will do
    if mirrors is None:
        given = os.environ.get("SUREFOOT_MIRRORS", "").replace("{name}", data.name).split()
        mirrors = given or data.mirrors
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with _locked(folder, data.name):
            targets = {name: folder / f"{name}.gz" for name in FILES}
            missing = [
                name
                for name, target in targets.items()
                if not target.exists() or (recheck and _sha256(target) != data.sha256[name])
            ]
            if missing:
                say(f"Downloading {data.name} to {folder} …", error=True)
            for name in missing:
                good = _fetch_file(targets[name], data.sha256[name], mirrors, timeout)
                mirrors = [good, *(mirror for mirror in mirrors if mirror != good)]
    except OSError as error:  # the network's errors have been dealt with: this is the disk
        raise InputError(
            f"Cannot write to {error.filename or folder}: {error.strerror or error};"
            " set $SUREFOOT_CACHE to another folder for downloads."
        ) from error
    return folder


def _locked(folder: Path, name: str) -> Any:
    lock = FileLock(folder / ".lock")
    try:
        return lock.acquire(timeout=0)
    except Timeout:
        say(f"Waiting for another process that is downloading {name} …", error=True)
        return lock.acquire()


def _fetch_file(target: Path, sha256: str, mirrors: Sequence[str], timeout: float) -> str:
    """Download one file, and return the mirror that had it."""
    part = target.with_name(f"{target.name}.part")
    failures = []
    for mirror in mirrors:
        try:
            _fetch_from(f"{mirror.rstrip('/')}/{target.name}", part, sha256, timeout)
        except _Failed as failed:
            failures.append(f"{mirror} {failed}")
            continue
        os.replace(part, target)
        return mirror
    raise InputError(
        f"Cannot download {target.name} of {target.parent.name}: {'; '.join(failures)};"
        " if you have the files in a folder, --data-dir FOLDER needs no network."
    )


def _fetch_from(url: str, part: Path, sha256: str, timeout: float) -> None:
    """Bring `part` to its end from one mirror: go on where it was cut off as long as that gains ground."""
    restarted = False
    while True:
        before = _size(part)
        try:
            resumed = _receive(url, part, timeout)
        except _CutOff:
            if _size(part) > before:
                continue
            raise
        found = _sha256(part)
        if found == sha256:
            return
        part.unlink()
        if restarted or not resumed:
            raise _Failed(f"has the SHA-256 {found}, not {sha256}" if found else "has a corrupt gzip file")
        restarted = True  # what was there before may have come from elsewhere: once more from the beginning


def _receive(url: str, part: Path, timeout: float) -> bool:
    """Receive what is missing in `part`; return whether it was continued rather than begun anew."""
    have = _size(part)
    headers = {"User-Agent": f"surefoot/{surefoot.__version__}"}
    if have:
        headers["Range"] = f"bytes={have}-"
    try:
        response = urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=timeout)
    except urllib.error.HTTPError as error:
        error.close()
        if error.code == 416 and have:  # nothing is missing, or what is there is none of this file
            return True
        raise _Failed(f"answers {error.code} {error.reason}") from error
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise _Failed(_why(error, timeout)) from error
    with response:
        resumed = response.status == 206 and str(response.headers["Content-Range"]).startswith(
            f"bytes {have}-"
        )
        have = have if resumed else 0
        length = response.headers["Content-Length"]
        total = have + int(length) if length else None
        bar = tqdm(
            desc=part.stem, initial=have, total=total, unit="B", unit_scale=True, disable=None, leave=False
        )
        with bar, part.open("ab" if resumed else "wb") as file:
            while block := _read(response, timeout, have, total):
                file.write(block)
                file.flush()  # what is here stays, should the process be killed
                have += len(block)
                bar.update(len(block))
            os.fsync(file.fileno())
    if total is not None and have < total:
        raise _CutOff(f"broke off after {have:,} of {total:,} bytes")
    return resumed


def _read(response: Any, timeout: float, have: int, total: int | None) -> bytes:
    try:
        return bytes(response.read1(_BLOCK))  # read() would drop what came before a timeout
    except (OSError, http.client.HTTPException) as error:
        of = "" if total is None else f" of {total:,}"
        raise _CutOff(f"{_why(error, timeout)} after {have:,}{of} bytes") from error


def _why(error: Exception, timeout: float) -> str:
    reason = getattr(error, "reason", error)  # URLError wraps what happened
    if isinstance(reason, TimeoutError):
        return f"did not answer for {timeout:g} s"
    if isinstance(reason, http.client.IncompleteRead):
        return "broke off"
    if isinstance(reason, ssl.SSLCertVerificationError) and sys.platform == "darwin":
        # python.org's Python comes without certificates there
        return "is not trusted by this Python until its 'Install Certificates.command' was run"
    what = "failed" if isinstance(error, ConnectionError) else "cannot be reached"
    return f"{what} ({getattr(reason, 'strerror', None) or reason})"


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _sha256(path: Path) -> str | None:
    """SHA-256 of the decompressed file; None if it cannot be decompressed."""
    digest = hashlib.sha256()
    try:
        with gzip.open(path) as file:
            while block := file.read(_BLOCK * 16):
                digest.update(block)
    except (EOFError, gzip.BadGzipFile, zlib.error):
        return None
    return digest.hexdigest()


class _Failed(Exception):
    """A mirror did not give the file; its text follows the mirror's address in a sentence."""


class _CutOff(_Failed):
    """The connection ended early: what came is kept."""
