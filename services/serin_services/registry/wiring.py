"""What the settings name, opened: the database, the store of artifacts, and the cluster."""

import dataclasses
from pathlib import Path

from serin_services.registry import errors
from serin_services.registry.artifacts import bucket, encryption, folder
from serin_services.registry.artifacts.store import Backend, Store
from serin_services.registry.cluster import connection
from serin_services.registry.cluster.deployer import Deployer
from serin_services.registry.cluster.follower import Follower
from serin_services.registry.cluster.tenancy import Tenancy
from serin_services.registry.database.sessions import Database
from serin_services.registry.settings import Settings

S3 = "s3://"
NO_CLUSTER = "off"


@dataclasses.dataclass(frozen=True)
class Cluster:
    """What asks for things in a cluster, and what follows what happens there."""

    deployer: Deployer
    follower: Follower


def open_database(options: Settings) -> Database:
    """Open the database of the settings.

    Raises:
        errors.InvalidError: its URL cannot be read.
    """
    owner = options.database_owner.get_secret_value() if options.database_owner else None
    return Database(options.database.get_secret_value(), owner_url=owner, pool_size=options.pool_size)


def open_store(options: Settings) -> Store:
    """Open the store of the settings: a folder, or a bucket.

    Raises:
        errors.RegistryError: its keys or its address cannot be read.
    """
    key = options.artifacts_key
    keys = encryption.Keys.parse(key.get_secret_value(), encryption.SETTING) if key else None
    return Store(_open_backend(options), keys)


def open_cluster(options: Settings, database: Database) -> Cluster | None:
    """Connect to the cluster of the settings, unless there is none; nothing is followed before `follower.start()`.

    Raises:
        errors.UnavailableError: it cannot be found.
    """
    if options.cluster == NO_CLUSTER:
        return None
    client = connection.connect(options.cluster)
    tenancy = Tenancy(client, options.tenant)
    return Cluster(
        Deployer(client, tenancy, gateway=options.gateway, namespaces=options.namespaces),
        Follower(client, database, tenancy, cluster=options.cluster_name, namespaces=options.namespaces),
    )


def _open_backend(options: Settings) -> Backend:
    if not options.artifacts.startswith(S3):
        return folder.Folder(Path(options.artifacts))
    name = options.artifacts.removeprefix(S3).rstrip("/")
    if not name or "/" in name or not options.s3_endpoint or not options.s3_access_key or not options.s3_secret_key:
        raise errors.InvalidError(
            "artifacts: expected s3:// and a bucket of its own, with S3_ENDPOINT, S3_ACCESS_KEY and S3_SECRET_KEY beside it"
        )
    return bucket.Bucket(
        bucket.Address(
            bucket=name,
            endpoint=options.s3_endpoint,
            access_key=options.s3_access_key.get_secret_value(),
            secret_key=options.s3_secret_key.get_secret_value(),
            region=options.s3_region,
            ca_file=options.s3_ca,
        )
    )
