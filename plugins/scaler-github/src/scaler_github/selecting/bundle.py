"""The one small file in an artifact's zip, read in memory; nothing is ever extracted.

The zip that GitHub's upload action makes of one file is the only kind that is taken: it begins with
that file and ends with its list of one entry. Whatever else a zip can be is a no, and so is one
whose file tells of itself what the list does not: readers differ in which of both they believe.
"""

from __future__ import annotations

import hashlib
import hmac
import io
import re
import stat
import struct
import zipfile

from scaler import Refused
from scaler_github.selecting.codes import Code, refused

LARGEST_FILE = 4 << 10
_DIGEST = re.compile(r"sha256:([0-9a-fA-F]{64})")
_FIRST, _LAST, _LOCATOR64 = b"PK\x03\x04", b"PK\x05\x06", b"PK\x06\x07"
_END = 22  # bytes of the record at a zip's end, without a comment
_ENCRYPTED = 0x1 | 0x40 | 0x2000
_VERSION = 20  # of the format: deflated files, and nothing later
_SIZES64 = 1  # the extra field that holds the sizes of large files
_HEAD = struct.Struct("<4sHHH16xHH")  # an entry's own head: version, flags, method, two lengths


def check_digest(archive: bytes, digest: str | None) -> None:
    """Whether an archive is the one that GitHub took the digest of; None: it has told none.

    Raises:
        Refused: It is not, or the digest is of no kind that is known.
    """
    if digest is None:
        return
    told = _DIGEST.fullmatch(digest)
    if told is None:
        raise refused(Code.DIGEST, "it is no sha256")
    if not hmac.compare_digest(hashlib.sha256(archive).hexdigest(), told[1].lower()):
        raise refused(Code.DIGEST)


def content(archive: bytes) -> bytes:
    """What is in the one file of a zip.

    Raises:
        Refused: There is no such file, or it is larger than a proof can be.
    """
    try:
        return _content(archive)
    except Refused:
        raise
    except Exception as error:  # struct.error, zlib.error, … : whatever a stranger's bytes lead to
        raise refused(Code.ARCHIVE, type(error).__name__) from None


def _content(archive: bytes) -> bytes:
    end = archive[-_END:]
    if not archive.startswith(_FIRST) or not end.startswith(_LAST) or len(archive) < _END:
        raise refused(Code.ARCHIVE, "it does not begin and end as a zip does")
    if archive[-_END - 20 :].startswith(_LOCATOR64):
        raise refused(Code.ARCHIVE, "it is a zip64")
    with zipfile.ZipFile(io.BytesIO(archive)) as bundle:
        entries = bundle.infolist()
        if len(entries) != 1:
            raise refused(Code.ARCHIVE, f"{len(entries)} entries, wanted one")
        (entry,) = entries
        _check(entry)
        _check_head(archive, entry)
        with bundle.open(entry) as file:
            data = file.read(LARGEST_FILE + 1)  # no more than these are ever inflated
    if len(data) > LARGEST_FILE:
        raise refused(Code.TOO_LARGE, f"more than {LARGEST_FILE} bytes in its file")
    if len(data) != entry.file_size:
        raise refused(Code.ARCHIVE, "its file is of another size than it says")
    return data


def _check(entry: zipfile.ZipInfo) -> None:
    kind = stat.S_IFMT(entry.external_attr >> 16)
    if entry.flag_bits & _ENCRYPTED:
        raise refused(Code.ARCHIVE, "it is encrypted")
    if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise refused(Code.ARCHIVE, "it is compressed in another way than zips usually are")
    if entry.is_dir() or kind not in (0, stat.S_IFREG):
        raise refused(Code.ARCHIVE, "its entry is no plain file")
    if entry.extract_version > _VERSION or _SIZES64 in _extras(entry.extra):
        raise refused(Code.ARCHIVE, "it is a zip64, or takes more than plain zips do")
    if entry.header_offset != 0:
        raise refused(Code.ARCHIVE, "something stands before its file")
    if entry.file_size > LARGEST_FILE:
        raise refused(Code.TOO_LARGE, f"{entry.file_size} bytes in its file")


def _check_head(archive: bytes, entry: zipfile.ZipInfo) -> None:
    """What stands before the file itself; that its name is the list's is seen when it is opened."""
    _, version, flags, method, name, extra = _HEAD.unpack_from(archive)
    after = _HEAD.size + name
    if flags & _ENCRYPTED or method != entry.compress_type:
        raise refused(Code.ARCHIVE, "its file says otherwise than its list")
    if version > _VERSION or _SIZES64 in _extras(archive[after : after + extra]):
        raise refused(Code.ARCHIVE, "its file is a zip64's, or takes more than plain zips do")


def _extras(extra: bytes) -> set[int]:
    """Which kinds of extra fields an entry has."""
    found = set()
    while len(extra) >= 4:
        kind, size = struct.unpack("<HH", extra[:4])
        found.add(kind)
        extra = extra[4 + size :]
    return found
