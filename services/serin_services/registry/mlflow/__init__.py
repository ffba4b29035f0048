"""Import from an MLflow tracking server and model registry, and mirror to one; versions are its, the truth is ours.

MLflow is told by its own environment where the server is and who asks (MLFLOW_TRACKING_URI, MLFLOW_TRACKING_TOKEN and so
on). Nothing here reads or shows a credential.
"""

import os

# It would report to its makers, and draw progress bars and addresses into what a command prints; the first of these it
# reads while it is imported.
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")
