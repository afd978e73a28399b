#!/bin/sh
# What a container, or any supervisor, runs: rows brought up to date, then the server, which takes
# the place of this shell and so hears its signals. It refuses to serve others without an API key.
set -eu
cd "$(dirname "$0")/.."
python manage.py migrate --verbosity 0
python manage.py check --tag access --database default --fail-level WARNING --verbosity 0 > /dev/null
exec uvicorn voicebot.asgi:application --host "${VOICEBOT_HOST:-127.0.0.1}" --port 8000 \
    --lifespan off --no-access-log --no-proxy-headers --timeout-graceful-shutdown 25
