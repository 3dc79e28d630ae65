"""An object store on this machine: moto's server, which speaks S3, on 127.0.0.1."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest
from pyarrow.fs import FileSystem, LocalFileSystem, S3FileSystem, copy_files

BUCKET = "films"


class ObjectStore:
    """A bucket of an object store that is empty at first."""

    def __init__(self, endpoint: str) -> None:
        self.system: FileSystem = S3FileSystem(
            endpoint_override=endpoint, region="us-east-1", allow_bucket_creation=True
        )
        self.system.create_dir(BUCKET)

    def url(self, name: str) -> str:
        """The URL of this name."""
        return f"s3://{BUCKET}/{name}"

    def copy(self, folder: Path, name: str) -> str:
        """The URL of a copy of the folder."""
        copy_files(
            str(folder), f"{BUCKET}/{name}", source_filesystem=LocalFileSystem(), destination_filesystem=self.system
        )
        return self.url(name)


def object_store() -> Iterator[ObjectStore]:
    """The store, which the environment leads to; the test is skipped where moto is not installed."""
    if find_spec("moto") is None or find_spec("flask_cors") is None:
        pytest.skip("moto is not installed: pip install -r requirements-dev.txt")
    from moto.server import ThreadedMotoServer

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_ENDPOINT_URL": f"http://{host}:{port}",
        }.items():
            patch.setenv(name, value)
        try:
            yield ObjectStore(f"http://{host}:{port}")
        finally:
            server.stop()
