# docker build -t mgi .                                             CPU, weights fetched into the image (about 120 MB)
# docker build -t mgi --build-arg DEVICE=gpu .                      with what several GPUs need; run with --gpus all
# docker run --rm -v "$PWD:/work" mgi translate photos paintings --out runs/first
# docker run --rm -v mgi-weights:/weights -v "$PWD:/work" mgi ...   keeps weights that are fetched later
# Build arguments: DEVICE=cpu|gpu, EXTRAS=NAME,NAME, WEIGHTS=yes|no, PYTHON=3.11|3.12|3.13, PIP_EXTRA_INDEX_URL=ADDRESS
# (docs/installation.md). DEVICE=cpu installs the builds of PyTorch for CPUs if that address offers them.
ARG PYTHON=3.12

FROM python:${PYTHON}-slim AS build
WORKDIR /source
COPY pyproject.toml README.md LICENSE prefect.yaml ./
COPY build_backend build_backend
COPY mgi mgi
COPY flows flows
COPY tasks tasks
COPY storage storage
COPY suites suites
RUN python -m pip wheel --no-cache-dir --no-deps --wheel-dir /wheels .

FROM python:${PYTHON}-slim
ARG DEVICE=cpu
ARG EXTRAS=metrics,s3
ARG WEIGHTS=yes
ARG PIP_EXTRA_INDEX_URL=
RUN case "$DEVICE" in cpu|gpu) ;; *) echo "DEVICE=$DEVICE: expected cpu or gpu" >&2; exit 2 ;; esac
# libgomp1: threads of PyTorch.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends libgomp1 \
    && rm -rf /var/lib/apt/lists/*
COPY --from=build /wheels /wheels
# hadolint ignore=DL3013
RUN extras="$EXTRAS"; \
    if [ "$DEVICE" = gpu ]; then extras="${extras:+$extras,}gpu"; fi; \
    wheel="$(ls /wheels/mgi-*.whl)" \
    && python -m pip install --no-cache-dir "$wheel${extras:+[$extras]}" \
    && rm -rf /wheels
RUN useradd --create-home --uid 1000 mgi && install --directory --owner mgi --group mgi /work /weights
ENV MGI_WEIGHTS_DIR=/weights
USER 1000
RUN if [ "$WEIGHTS" = yes ]; then mgi weights fetch --embedded; fi
WORKDIR /work
VOLUME /weights
ENTRYPOINT ["mgi"]
CMD ["--help"]
