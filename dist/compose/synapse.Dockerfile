# Synapse with the module; the context is the top of the repository.
FROM matrixdotorg/synapse:v1.163.2
COPY synapse-module /tmp/synapse-module
RUN pip install --no-cache-dir --no-deps /tmp/synapse-module && rm -r /tmp/synapse-module
ENTRYPOINT ["/bin/sh", "-c"]
CMD ["set -- -c /config/homeserver.yaml -c /run/secrets/synapse.yaml; python -m synapse.app.homeserver \"$@\" --generate-keys && exec python -m synapse.app.homeserver \"$@\""]
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s \
  CMD ["python", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:8008/health', timeout=4)"]
