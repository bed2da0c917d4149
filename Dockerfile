# The hub's image: `anxin serve`, `anxin migrate`, `anxin edge` and the rest. Built from the tree, run as nobody in particular.

FROM python:3.13-slim-trixie AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_NO_INPUT=1
WORKDIR /src
RUN python -m venv /opt/anxin
# the lock alone first: it changes more rarely than the code
COPY requirements-runtime.lock ./
RUN /opt/anxin/bin/pip install --require-hashes --only-binary=:all: -r requirements-runtime.lock
COPY pyproject.toml README.md LICENSE ./
COPY hub hub
COPY drivers drivers
COPY provisioning provisioning
COPY device-profiles device-profiles
COPY rule-packs rule-packs
COPY calendars calendars
COPY dashboards dashboards
RUN /opt/anxin/bin/pip install --no-build-isolation --no-deps --no-index . && /opt/anxin/bin/anxin --help >/dev/null

FROM python:3.13-slim-trixie
# the Chinese font that PDF reports are set in
RUN apt-get update && apt-get install -y --no-install-recommends fonts-wqy-microhei && rm -rf /var/lib/apt/lists/*
ENV ANXIN_REPORT_FONT=/usr/share/fonts/truetype/wqy/wqy-microhei.ttc
# 1883 is also the user of the broker's image: both write the same password file
RUN groupadd --gid 1883 anxin && useradd --uid 1883 --gid 1883 --no-create-home --home-dir / --shell /usr/sbin/nologin anxin
COPY --from=build /opt/anxin /opt/anxin
# a volume that is mounted here begins with this owner
RUN install -d -m 0700 -o 1883 -g 1883 /var/lib/anxin/data
ENV PATH=/opt/anxin/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
USER 1883:1883
ENTRYPOINT ["anxin"]
CMD ["serve"]
