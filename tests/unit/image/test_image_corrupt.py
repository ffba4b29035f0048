"""The corrupt versions that the cluster tests roll out: each is refused for its own reason, before it is served."""

from pathlib import Path

import pytest

from serin_services.image import layouts as image_layouts
from serin_services.image import verification
from serin_services.package import errors, folder
from support import corrupt, layouts


@pytest.mark.parametrize("name", corrupt.CORRUPTIONS)
def test_a_corrupt_version_is_refused_for_its_own_reason(name: str, package: folder.Package, tmp_path: Path) -> None:
    corruption = corrupt.CORRUPTIONS[name]
    copied = corrupt.corrupt(package.path, corruption, tmp_path / "package")

    with pytest.raises(errors.PackageError) as refused:
        folder.open_package(folder.read(copied))

    assert refused.value.reason == corruption.reason
    assert corruption.said in refused.value.message


@pytest.mark.parametrize("name", corrupt.CORRUPTIONS)
def test_verify_finds_a_corrupt_version_too(name: str, package: folder.Package, tmp_path: Path) -> None:
    copied = corrupt.corrupt(package.path, corrupt.CORRUPTIONS[name], tmp_path / "package")
    changed = {f"package/{path.name}": path.read_bytes() for path in copied.iterdir()}
    layouts.write_layout(tmp_path / "layout", package, changed)

    with image_layouts.open_image(str(tmp_path / "layout"), "auto") as layout:
        report = verification.verify(layout, None, None)

    assert not report.ok
