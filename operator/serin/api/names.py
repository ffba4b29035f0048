"""Names that stand on Kubernetes objects: labels, annotations, ports and child names, each in this one place."""

GROUP = "serving.serin.dev"
VERSION = "v1alpha1"
API_VERSION = f"{GROUP}/{VERSION}"
KIND = "ModelDeployment"
PLURAL = "modeldeployments"
SHORT_NAME = "mdep"
MANAGER = "serin"

# Labels on every child and pod.
MANAGED_BY_LABEL = "app.kubernetes.io/managed-by"
MODELDEPLOYMENT_LABEL = "serin.dev/modeldeployment"
REVISION_LABEL = "serin.dev/revision"
VERSION_LABEL = "serin.dev/version"

# Labels of a rule's alert: what the operator does when it fires.
ACTION_LABEL = "serin_action"
OBJECT_ALERT_LABEL = "modeldeployment"
REVISION_ALERT_LABEL = "revision"

# A person's request, `<verb>:<id>`; the id makes sure that it is carried out once.
REQUEST_ANNOTATION = "serin.dev/request"
# On the route, in the same patch as the weights: the revision that traffic was taken from, and why.
WITHDRAWN_ANNOTATION = "serin.dev/withdrawn"
# The model server's container and its ports.
SERVER_CONTAINER = "server"
HTTP_PORT, HTTP_PORT_NAME = 8080, "http"
GRPC_PORT, GRPC_PORT_NAME = 8081, "grpc"
METRICS_PORT, METRICS_PORT_NAME = 9090, "metrics"
PACKAGE_PATH = "/package"
SERVER_UID = 65532

VERSION_HEADER = "x-model-version"
# gRPC has no path prefix, so its requests name the model in this metadata key.
MODEL_METADATA = "x-model"


def revision_object(name: str, revision: str) -> str:
    """Name the Deployment and the record of one revision."""
    return f"{name}-{revision}"


def slot_service(name: str, slot: str) -> str:
    """Name the Service of one of the two slots, `a` or `b`."""
    return f"{name}-{slot}"
