"""`mgi pack` to an object store: whole or unreadable, and read back."""

from __future__ import annotations

from pathlib import Path

import pytest
import xarray
from obstore.store import S3Store
from report_run import PAIRS, create, fill, small_config
from s3 import Faults
from zarr.storage import ObjectStore

from mgi.config import ConfigError
from storage.remote.bucket import Bucket, RemoteError
from storage.run_store import RunStore
from tasks.pack import LIST, ROOT, pack_run

pytestmark = pytest.mark.slow


@pytest.fixture
def run(tmp_path: Path) -> RunStore:
    store = create(tmp_path / "run", small_config())
    fill(store, 0, PAIRS[0], None)
    return store


def test_objects_are_what_a_folder_would_hold(run: RunStore, address: str, tmp_path: Path) -> None:
    packed = pack_run(str(run.path), address, partial=True, scratch=tmp_path)
    pack_run(str(run.path), str(tmp_path / "copy"), partial=True)
    bucket = Bucket(address)
    for path in [path for path in (tmp_path / "copy").rglob("*") if path.is_file() and path.name != LIST]:
        found = bucket.read(path.relative_to(tmp_path / "copy").as_posix())
        assert found is not None and found.data == path.read_bytes()
    assert bucket.read(LIST) is not None and packed.files > 20
    arrays = ObjectStore(S3Store.from_url(f"{address}/run.zarr"), read_only=True)
    with xarray.open_zarr(arrays, group="loss", consolidated=True) as opened:
        assert bool(opened["finished"].sel(pair=PAIRS[0].id, hypothesis="L04N10"))
    with pytest.raises(ConfigError, match="is there already"):
        pack_run(str(run.path), address, partial=True, scratch=tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["copy", "run"]


def test_a_store_that_fails_leaves_nothing_that_opens(
    run: RunStore, address: str, faults: Faults, tmp_path: Path
) -> None:
    faults.plan("denied", "PUT", "run.zarr/warp/finished")
    with pytest.raises(RemoteError, match="403"):
        pack_run(str(run.path), address, partial=True, scratch=tmp_path)
    assert Bucket(address).read(ROOT) is None
    assert pack_run(str(run.path), address, partial=True, scratch=tmp_path).results == 1, "and can be repeated"
