"""Names of metrics and their labels: the servers and the operator write them, the rules and dashboards read them."""

# Model server.
REQUESTS = "serin_requests_total"
REQUEST_SECONDS = "serin_request_seconds"
PREDICTIONS = "serin_predictions_total"
PREDICTION_CONFIDENCE = "serin_prediction_confidence"
FEATURE_MISMATCH = "serin_feature_mismatch_total"
MODEL_INFO = "serin_model_info"
PREDICTION_LOG_RECORDS = "serin_prediction_log_records_total"
PREDICTION_LOG_DROPPED = "serin_prediction_log_dropped_total"
PREDICTION_LOG_WRITTEN = "serin_prediction_log_written_total"
PREDICTION_LOG_FAILED = "serin_prediction_log_failed_total"
CACHE_LOOKUPS = "serin_cache_lookups_total"

# Operator.
WEIGHT = "serin_weight"
PHASE = "serin_phase"
STEP = "serin_step"
THRESHOLD = "serin_threshold"
VERDICT = "serin_verdict"
ROLLOUTS = "serin_rollouts_total"
ROLLBACK_SECONDS = "serin_rollback_seconds"
FOREIGN_WRITES = "serin_foreign_writes_total"
RECONCILE_SECONDS = "serin_reconcile_seconds"
RECONCILE_ERRORS = "serin_reconcile_errors_total"
ALERT_FIRING = "serin_alert_firing"

# Labels of a model server's series.
MODEL, MODEL_VERSION, PROTOCOL, OUTCOME, CODE = "model", "version", "protocol", "outcome", "code"
RESULT = "result"
REQUEST_LABELS = (MODEL, MODEL_VERSION, PROTOCOL, OUTCOME, CODE)
PROTOCOLS = ("http", "grpc")
OUTCOMES = ("ok", "refused", "failed")

# Labels that the scrape adds from the pods' labels, and that the operator's series carry themselves.
NAMESPACE, MODELDEPLOYMENT, REVISION = "namespace", "modeldeployment", "revision"
CRITERION, BOUND, KIND = "criterion", "bound", "kind"

# Upper bounds in seconds; a latency limit is rounded down to one of them, so that a share above it can be counted.
LATENCY_BUCKETS = (
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5, 0.75, 1.0, 2.5, 5.0, 10.0,
)  # fmt: skip
CONFIDENCE_BUCKETS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
