"""A model behind the server of KServe's SDK, the way its own model servers of the families are written."""

import kserve
import predictors
from kserve.utils.utils import get_predict_input, get_predict_response


class Model(kserve.Model):
    def load(self) -> bool:
        self.predict_rows = predictors.open_from_environment()
        self.ready = True
        return self.ready

    def predict(self, payload, headers=None):  # noqa: ARG002 - the SDK's signature
        rows = get_predict_input(payload)
        return get_predict_response(payload, self.predict_rows(rows), self.name)


if __name__ == "__main__":
    import argparse

    parser = argparse.ArgumentParser(parents=[kserve.model_server.parser])
    options, _ = parser.parse_known_args()
    model = Model(options.model_name)
    model.load()
    kserve.ModelServer().start([model])
