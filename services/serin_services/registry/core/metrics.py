"""Names of the registry's metrics about models, and their labels: the registry writes, rollouts and dashboards read."""

# Counters, made of the sums on record: every replica tells the same, and a restart changes nothing.
RECORDED_PREDICTIONS = "serin_recorded_predictions_total"
OUTCOMES = "serin_outcomes_total"
RETURNS = "serin_returns_total"

# Gauges over the last 24 hours.
ROLLING_ACCURACY = "serin_rolling_accuracy"
ROLLING_WIN_RATE = "serin_rolling_win_rate"
ROLLING_SHARPE = "serin_rolling_sharpe"
ROLLING_PROFIT_FACTOR = "serin_rolling_profit_factor"

# Whose model it is, by its tenant and, where it is a user's own, its owner; then the names of the model servers' series.
TENANT, OWNER, MODEL, VERSION = "tenant", "owner", "model", "version"
VERSION_LABELS = (TENANT, OWNER, MODEL, VERSION)
# Of an outcome: whether the prediction was right, if that can be said.
CORRECT = "correct"
CORRECT_VALUES = ("true", "false", "unknown")
# Of an outcome with a return.
RESULT = "result"
RESULTS = ("win", "loss", "even")
# Of a share: itself, and the ends of its 95 % interval.
BOUND = "bound"
BOUNDS = ("value", "low", "high")
