# The operator's image; context: the repository's root.
#   docker build -t localhost/tuning-operator/operator:0.1.0 .
# BASE_IMAGE may be any image with python3 (3.11 or newer), pip and venv.
ARG BASE_IMAGE=python:3.13-slim

FROM ${BASE_IMAGE} AS build
COPY requirements/operator.txt /tmp/operator.txt
# The environment gets no pip of its own: nothing is ever installed into it again. Tests of the libraries stay behind,
# as do the headers that only a compiler needs.
RUN python3 -m venv --without-pip /opt/venv \
 && python3 -m pip --python /opt/venv/bin/python install \
      --require-hashes --only-binary=:all: --no-cache-dir --no-compile --disable-pip-version-check -r /tmp/operator.txt \
 && find /opt/venv -type d \( -name tests -o -name include \) -path '*/site-packages/*' -prune -exec rm -rf {} +
COPY operator/tuning_contract /app/tuning_contract
COPY operator/tuning_operator /app/tuning_operator
# Compiled here, since the pod's root is read-only; unchecked, since copying a layer may change times. The client's models
# and typed APIs are thousands of files that the operator never imports.
RUN python3 -m compileall -q -j 0 --invalidation-mode unchecked-hash -x '/kubernetes/(aio/)?client/(api|models)/' \
      /opt/venv /app

FROM ${BASE_IMAGE}
COPY --from=build /opt/venv /opt/venv
COPY --from=build /app /app
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONPATH=/app \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    HOME=/tmp \
    TZ=UTC
WORKDIR /app
EXPOSE 8080
USER 65532:65532
ENTRYPOINT ["python", "-m", "tuning_operator"]
