# Three images of one source: the operator, the registry, and the runtime that the model versions of one family share.
#   docker build --target operator -t serin-operator .
#   docker build --target registry -t serin-registry .
#   docker build --target runtime --build-arg FAMILY=xgboost -t serin-runtime-xgboost .
# `serin build` makes the last when it is missing, and each version's image on top of it.

FROM docker.io/library/python:3.11-slim AS tools
# Where packages come from, and whom to trust, is the builder's matter: none of these reach an image.
ARG SSL_CERT_FILE
ARG PIP_CERT
ARG PIP_INDEX_URL
ARG UV_INDEX_URL
ENV UV_SYSTEM_CERTS=1 UV_LINK_MODE=copy UV_NO_CACHE=1 UV_PYTHON_DOWNLOADS=never PIP_NO_CACHE_DIR=1 \
    PIP_DISABLE_PIP_VERSION_CHECK=1
COPY requirements/bootstrap.txt /build/
RUN python3 -m venv /build/tools && /build/tools/bin/pip install --quiet --require-hashes -r /build/bootstrap.txt
RUN python3 -m venv --without-pip /opt/venv

# What is installed and what is ours are layers of their own: a change of ours makes, and moves, only a small one.
# Compiled by content, not by time: a layer's times are not the builder's.
FROM tools AS operator-venv
COPY requirements/operator.txt /build/
RUN /build/tools/bin/uv pip sync --quiet --python /opt/venv/bin/python --require-hashes /build/operator.txt \
    && python3 -m compileall -q --invalidation-mode unchecked-hash /opt/venv/lib

FROM tools AS operator-source
COPY operator/serin /opt/serin/serin
RUN python3 -m compileall -q --invalidation-mode unchecked-hash /opt/serin

# Of the Kubernetes client the registry uses the connection alone: 36 of its 1,900 modules. The check at the end fails if more
# comes to be needed.
FROM tools AS registry-venv
COPY requirements/registry.txt /build/
RUN /build/tools/bin/uv pip sync --quiet --python /opt/venv/bin/python --require-hashes /build/registry.txt \
    && cd /opt/venv/lib/python3.11/site-packages/kubernetes \
    && rm -rf aio && find client/api client/models -name '[a-z]*.py' -delete \
    && python3 -m compileall -q --invalidation-mode unchecked-hash /opt/venv/lib

FROM tools AS registry-source
COPY operator/serin/__init__.py /opt/serin/serin/
COPY operator/serin/api /opt/serin/serin/api
COPY services/serin_services/__init__.py /opt/serin/serin_services/
COPY services/serin_services/package /opt/serin/serin_services/package
COPY services/serin_services/registry /opt/serin/serin_services/registry
RUN python3 -m compileall -q --invalidation-mode unchecked-hash /opt/serin

# LightGBM's wheel expects the system's OpenMP, which the slim base lacks. XGBoost's wheel carries one: pinned by hash,
# and without apt's moving versions.
FROM tools AS openmp
COPY requirements/server-xgboost.txt /build/
RUN sed -n '/^xgboost-cpu==/,/# via/p' /build/server-xgboost.txt > /build/openmp.txt \
    && /build/tools/bin/uv pip install --quiet --python /opt/venv/bin/python --no-deps --require-hashes \
       --target /build/openmp -r /build/openmp.txt \
    && mkdir /opt/openmp && cp /build/openmp/xgboost_cpu.libs/libgomp*.so* /opt/openmp/libgomp.so.1

# What serving never loads goes out before it becomes a layer: tests, type stubs, sources of compiled modules, ONNX
# Runtime's converters and its library for C, and of SciPy (110 MB, of which the tree libraries import scipy.sparse alone)
# all the rest, its own BLAS included. PyTorch's one build on the index is for CUDA and does not load without most of it;
# what only a GPU would open goes. The check at the end, and a prediction in the tests, fail if more comes to be needed.
FROM tools AS runtime-venv
ARG FAMILY
COPY requirements/server-${FAMILY}.txt /build/server.txt
RUN /build/tools/bin/uv pip sync --quiet --python /opt/venv/bin/python --require-hashes /build/server.txt \
    && cd /opt/venv/lib/python3.11/site-packages \
    && find . -depth -type d \( -name tests -o -name test \) -exec rm -rf {} + \
    && find . -type f \( -name '*.pyi' -o -name '*.pyx' -o -name '*.pxd' -o -name '*.[ach]' -o -name '*.hpp' \) -delete \
    && rm -rf scipy.libs onnxruntime/tools onnxruntime/transformers onnxruntime/quantization \
        onnxruntime/capi/libonnxruntime.so.* \
    && find . -mindepth 2 -maxdepth 2 -path './scipy/*' -type d ! -name _lib ! -name sparse -exec rm -rf {} + \
    && rm -rf torch/testing/_internal/py312* torch/include torch/share torch/bin/protoc* torch/lib/libtorch_cuda_linalg.so \
        nvidia/*/include nvidia/cu13/cccl nvidia/cu13/lib/*.a nvidia/cu13/lib/libcusolver* nvidia/cu13/lib/libnvperf_* \
        nvidia/cu13/lib/libnvrtc-builtins* nvidia/cudnn/lib/libcudnn_* nvidia/nvshmem/lib/*.bc nvidia/nvshmem/lib/*.a \
    && PYTHONHASHSEED=0 python3 -m compileall -q --invalidation-mode unchecked-hash /opt/venv/lib

FROM tools AS runtime-source
COPY operator/serin/__init__.py /opt/serin/serin/
COPY operator/serin/api /opt/serin/serin/api
COPY services/serin_services/__init__.py /opt/serin/serin_services/
COPY services/serin_services/package /opt/serin/serin_services/package
COPY services/serin_services/server /opt/serin/serin_services/server
RUN PYTHONHASHSEED=0 python3 -m compileall -q --invalidation-mode unchecked-hash /opt/serin

FROM docker.io/library/python:3.11-slim AS final
# The root file system is read-only: only /tmp can be written.
ENV PATH=/opt/venv/bin:/usr/local/bin:/usr/bin:/bin HOME=/tmp PYTHONPATH=/opt/serin \
    PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
WORKDIR /tmp
USER 65532:65532

FROM final AS operator
COPY --from=operator-venv /opt/venv /opt/venv
COPY --from=operator-source /opt/serin /opt/serin
EXPOSE 8080
LABEL org.opencontainers.image.title="serin-operator" org.opencontainers.image.licenses="Apache-2.0"
ENTRYPOINT ["/opt/venv/bin/python", "-m", "serin.main"]

FROM final AS registry
COPY --from=registry-venv /opt/venv /opt/venv
COPY --from=registry-source /opt/serin /opt/serin
# An image that lacks something it imports fails here, not in a cluster.
RUN ["/opt/venv/bin/python", "-c", "import serin_services.registry.main"]
EXPOSE 8080 9090
LABEL org.opencontainers.image.title="serin-registry" org.opencontainers.image.licenses="Apache-2.0"
ENTRYPOINT ["/opt/venv/bin/python", "-m", "serin_services.registry.main"]

FROM final AS runtime
ARG FAMILY
COPY --from=openmp /opt/openmp /opt/openmp
COPY --from=runtime-venv /opt/venv /opt/venv
COPY --from=runtime-source /opt/serin /opt/serin
# ONNX Runtime and BentoML would report home.
ENV SERIN_FAMILY=${FAMILY} SERIN_PACKAGE=/package LD_LIBRARY_PATH=/opt/openmp OMP_NUM_THREADS=1 \
    ORT_DISABLE_TELEMETRY=1 BENTOML_DO_NOT_TRACK=1 BENTOML_HOME=/tmp/bentoml
# A runtime that lacks something its library needs fails here, not in a cluster.
RUN ["/opt/venv/bin/python", "-c", "import importlib, os, serin_services.server.main; \
    family = os.environ['SERIN_FAMILY']; \
    names = {'onnx': ['onnxruntime'], 'torch': ['torch', 'safetensors.torch']}.get(family, [family, 'onnxruntime']); \
    [importlib.import_module(name) for name in names]"]
EXPOSE 8080 8081 9090
LABEL org.opencontainers.image.title="serin-runtime-${FAMILY}" org.opencontainers.image.licenses="Apache-2.0"
ENTRYPOINT ["/opt/venv/bin/python", "-m", "serin_services.server"]
