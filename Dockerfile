# The service alone. With --build-arg PIP_EXTRA_INDEX_URL set to PyTorch's index of CPU wheels (see PyTorch's install
# page), the image is smaller by the GPU libraries that the default build of PyTorch brings.
FROM python:3.12-slim-bookworm AS build
ARG PIP_EXTRA_INDEX_URL=""
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
WORKDIR /src
RUN python -m venv /opt/venv
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY collections collections
COPY embeddings embeddings
COPY service service
RUN /opt/venv/bin/pip install --constraint constraints.txt .

FROM python:3.12-slim-bookworm
ENV PATH=/opt/venv/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 \
    HF_HOME=/var/lib/scrubjay/models SCRUBJAY_DATA_DIR=/var/lib/scrubjay
RUN useradd --uid 10001 --no-create-home --shell /usr/sbin/nologin scrubjay \
    && install -d -o 10001 -g 10001 /var/lib/scrubjay
COPY --from=build /opt/venv /opt/venv
USER 10001
WORKDIR /var/lib/scrubjay
VOLUME /var/lib/scrubjay
EXPOSE 8000
HEALTHCHECK --interval=30s --timeout=5s --start-period=120s --retries=3 \
    CMD ["python", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:8000/livez', timeout=3)"]
CMD ["scrubjay", "serve"]
