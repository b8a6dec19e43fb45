"""Follows a repository in a folder as python-tuf does: follow.py REPO STATE. Prints the versions that it believes."""

import pathlib
import sys

from tuf.api.exceptions import DownloadHTTPError
from tuf.api.metadata import Metadata
from tuf.ngclient import FetcherInterface, Updater


class Folder(FetcherInterface):
    def _fetch(self, url):
        path = pathlib.Path(url)
        if not path.is_file():
            raise DownloadHTTPError("not found", 404)
        yield path.read_bytes()


repo, state = map(pathlib.Path, sys.argv[1:])
state.mkdir(exist_ok=True)
root = (repo / "metadata" / "1.root.json").read_bytes() if not any(state.iterdir()) else None
updater = Updater(str(state), f"{repo}/metadata/", fetcher=Folder(), bootstrap=root)
updater.refresh()
roles = ["root", "timestamp", "snapshot", "targets"]
print(*(f"{role} {Metadata.from_file(str(state / f'{role}.json')).signed.version}" for role in roles))
