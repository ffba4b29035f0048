"""The bill of materials of a model version's image: CycloneDX 1.6, the model itself among its components."""

import json
import uuid
from datetime import UTC, datetime

from cyclonedx.contrib.license.factories import LicenseFactory
from cyclonedx.model import HashAlgorithm, HashType, Property
from cyclonedx.model.bom import Bom, BomMetaData
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.model.license import License
from cyclonedx.output import make_outputter
from cyclonedx.schema import OutputFormat, SchemaVersion
from packageurl import PackageURL

from serin_services.image import inventory
from serin_services.package import folder, manifest

# Bills of the same image are the same bill: its serial number is made of what it describes.
NAMESPACE = uuid.uuid5(uuid.NAMESPACE_DNS, "sbom.serin.dev")


def write(package: folder.Package, installed: inventory.Inventory, epoch: int) -> bytes:
    """Write the bill of an image: what is installed in its runtime, and the model with its files and their digests.

    Args:
        package: the version.
        installed: what its runtime holds.
        epoch: the Unix time, in seconds, that the bill says it was written at.
    """
    version, model = describe_version(package), describe_model(package)
    bill = Bom(
        serial_number=uuid.uuid5(NAMESPACE, f"{package.digest} {installed.runtime}"),
        metadata=BomMetaData(component=version, timestamp=datetime.fromtimestamp(epoch, UTC)),
        components=[
            model,
            *(describe_python(one) for one in installed.packages),
            *(describe_system(one, installed.distribution) for one in installed.system),
            Component(name="python", version=installed.python, type=ComponentType.PLATFORM, bom_ref="python"),
        ],
    )
    bill.register_dependency(version, [model])
    document = json.loads(make_outputter(bill, OutputFormat.JSON, SchemaVersion.V1_6).output_as_string())
    # Which package needs which is not known here; the library lists each name once more all the same, a third of the file.
    document["dependencies"] = [entry for entry in document["dependencies"] if "dependsOn" in entry]
    for component in document["components"]:
        if component["type"] == "library":
            # Nothing refers to it, and its purl names it: another quarter of the file.
            del component["bom-ref"]
    return json.dumps(document, separators=(",", ":"), ensure_ascii=False).encode() + b"\n"


def describe_version(package: folder.Package) -> Component:
    """Describe the version as what the bill is about; its digest is the manifest's, which holds all others."""
    document = package.manifest
    return Component(
        name=document.model,
        version=document.version,
        type=ComponentType.CONTAINER,
        bom_ref=f"{document.model}@{document.version}",
        properties=[
            Property(name="dev.serin:package", value=f"sha256:{package.digest}"),
            *(Property(name=f"dev.serin:lineage:{key}", value=value) for key, value in document.lineage.items()),
        ],
    )


def describe_model(package: folder.Package) -> Component:
    """Describe the trained model: family, task, and the size and digest of each of its files."""
    document = package.manifest
    return Component(
        name=document.model,
        version=document.version,
        type=ComponentType.MACHINE_LEARNING_MODEL,
        bom_ref=f"model:{document.artifact.sha256}",
        hashes=[sha256(document.artifact.sha256)],
        components=[describe_file(file) for file in document.files],
        properties=[
            Property(name="dev.serin:family", value=document.family),
            Property(name="dev.serin:task", value=document.task),
            *(Property(name=f"dev.serin:metric:{key}", value=repr(value)) for key, value in document.metrics.items()),
        ],
    )


def describe_file(file: manifest.File) -> Component:
    """Describe one file of the package."""
    return Component(
        name=f"package/{file.path}",
        type=ComponentType.FILE,
        bom_ref=f"file:{file.path}",
        hashes=[sha256(file.sha256)],
        properties=[Property(name="dev.serin:role", value=file.role)],
    )


def describe_python(package: inventory.PythonPackage) -> Component:
    """Describe a Python package, by the name that the index knows it by (package-url, type pypi)."""
    purl = PackageURL("pypi", name=package.name.lower().replace("_", "-"), version=package.version)
    return Component(
        name=package.name,
        version=package.version,
        type=ComponentType.LIBRARY,
        bom_ref=str(purl),
        purl=purl,
        licenses=read_license(package.license),
    )


def describe_system(package: inventory.SystemPackage, distribution: str) -> Component:
    """Describe a package of the base image."""
    qualifiers = {"arch": package.architecture}
    purl = PackageURL("deb", distribution, package.name, package.version, qualifiers)
    return Component(
        name=package.name, version=package.version, type=ComponentType.LIBRARY, bom_ref=str(purl), purl=purl
    )


def read_license(text: str) -> list[License]:
    """Read what an author wrote as a license: an SPDX id or expression where it is one, else its words."""
    return [LicenseFactory().make_from_string(text)] if text else []


def sha256(digest: str) -> HashType:
    """Give a digest as a bill has it."""
    return HashType(alg=HashAlgorithm.SHA_256, content=digest)
