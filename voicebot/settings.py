"""Settings, and the only place that reads the environment (and ``.env``).

Every variable is listed, with its default and its meaning, in ``.env.example``.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import tempfile
from datetime import timedelta
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from django.conf import global_settings
from django.core.exceptions import ImproperlyConfigured
from dotenv import load_dotenv

from voicebot import VERSION, env, profiles

BASE_DIR = Path(__file__).resolve().parent.parent
load_dotenv(BASE_DIR / env.text("VOICEBOT_ENV_FILE", ".env"))

# --- voicebot ------------------------------------------------------------------------------

VOICEBOT_DATA_DIR = (BASE_DIR / env.text("VOICEBOT_DATA_DIR", "var")).resolve()
try:
    VOICEBOT_DATA_DIR.mkdir(parents=True, exist_ok=True)
except OSError as exc:
    raise ImproperlyConfigured(f"VOICEBOT_DATA_DIR={VOICEBOT_DATA_DIR}: {exc.strerror}.") from exc

# Fails closed: no engine may send anything out unless this is 0.
VOICEBOT_OFFLINE = env.flag("VOICEBOT_OFFLINE", default=True)
if VOICEBOT_OFFLINE:
    # Read by the libraries on import, hence before any of them.
    os.environ["HF_HUB_OFFLINE"] = "1"
os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
VOICEBOT_PROFILE = env.choice("VOICEBOT_PROFILE", "embedded", profiles.PROFILES)
PROFILES = profiles.PROFILES

# HOST:PORT of the head of a Ray cluster, where the engines then run; empty: here.
VOICEBOT_RAY_ADDRESS = env.text("VOICEBOT_RAY_ADDRESS")
RAY_AUTH_TOKEN_PATH = Path(env.text("RAY_AUTH_TOKEN_PATH", str(VOICEBOT_DATA_DIR / "ray_token")))
if VOICEBOT_RAY_ADDRESS:
    # Read by Ray on import, hence before it. Whoever does not know the token is not answered.
    os.environ.setdefault("RAY_AUTH_MODE", "token")
    os.environ.setdefault("RAY_AUTH_TOKEN_PATH", str(RAY_AUTH_TOKEN_PATH))
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")

ENGINES: dict[str, dict[str, Any]] = profiles.engines(
    VOICEBOT_PROFILE, offline=VOICEBOT_OFFLINE, cluster=bool(VOICEBOT_RAY_ADDRESS)
)

HF_TOKEN = env.text("HF_TOKEN")

# Servers of one's own: what an engine sends them does not leave the house.
VOICEBOT_OWN_HOSTS = env.names("VOICEBOT_OWN_HOSTS", "")

VOICEBOT_LANGUAGE = env.text("VOICEBOT_LANGUAGE", "fr")
VOICEBOT_MAX_UTTERANCE_S = env.integer("VOICEBOT_MAX_UTTERANCE_S", 60, minimum=1)
# Seconds: predicted ones of waiting for others, 0 for 0.4 of a usual turn, and of a whole turn.
VOICEBOT_MAX_WAIT_S = env.integer("VOICEBOT_MAX_WAIT_S", 0, minimum=0)
VOICEBOT_MAX_TURN_S = env.integer("VOICEBOT_MAX_TURN_S", 120, minimum=1)
VOICEBOT_MAX_UPLOAD_BYTES = env.integer("VOICEBOT_MAX_UPLOAD_BYTES", 25_000_000, minimum=1_000)
VOICEBOT_CACHE_MAX_BYTES = env.integer("VOICEBOT_CACHE_MAX_BYTES", 1_000_000_000, minimum=0)
# Days, 0 for none; all but the last is of conversations alone. See history.retention.
VOICEBOT_KEEP_TEXTS_DAYS = env.integer("VOICEBOT_KEEP_TEXTS_DAYS", 30, minimum=1)
VOICEBOT_KEEP_UTTERANCES_DAYS = env.integer("VOICEBOT_KEEP_UTTERANCES_DAYS", 0, minimum=0)
VOICEBOT_KEEP_SPEECH_DAYS = env.integer("VOICEBOT_KEEP_SPEECH_DAYS", 0, minimum=0)
VOICEBOT_KEEP_TURNS_DAYS = env.integer("VOICEBOT_KEEP_TURNS_DAYS", 90, minimum=0)
VOICEBOT_MAX_JOB_S = env.integer("VOICEBOT_MAX_JOB_S", 7_200, minimum=1)
VOICEBOT_MAX_JOB_BYTES = env.integer("VOICEBOT_MAX_JOB_BYTES", 150_000_000, minimum=1_000)
VOICEBOT_KEEP_JOBS_DAYS = env.integer("VOICEBOT_KEEP_JOBS_DAYS", 1, minimum=1)
VOICEBOT_MEMORY_S = env.integer("VOICEBOT_MEMORY_S", 3_600, minimum=0)
VOICEBOT_THREADS = env.integer("VOICEBOT_THREADS", os.cpu_count() or 1, minimum=1)

# Where traces go, if anywhere. All the rest is OpenTelemetry's own: it reads OTEL_… by itself.
TRACES_ENDPOINT = env.text(
    "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", env.text("OTEL_EXPORTER_OTLP_ENDPOINT")
)
os.environ.setdefault("OTEL_SERVICE_NAME", "voicebot")
os.environ.setdefault("OTEL_PYTHON_DJANGO_EXCLUDED_URLS", "metrics,api/health")

# --- Django --------------------------------------------------------------------------------

DEBUG = env.flag("VOICEBOT_DEBUG", default=False)
ALLOWED_HOSTS = env.names("VOICEBOT_ALLOWED_HOSTS", "localhost,127.0.0.1,[::1]")
CSRF_TRUSTED_ORIGINS = env.names("VOICEBOT_TRUSTED_ORIGINS", "")

# The address the server listens at, as whoever starts it tells.
VOICEBOT_HOST = env.text("VOICEBOT_HOST", "127.0.0.1")
# Who needs a key: all, nobody, or (`auto`) whoever is not at this machine. Fails closed: as soon as
# something else than this machine is named, a request that seems to come from here may have been
# passed on by a proxy.
VOICEBOT_KEYS = env.choice("VOICEBOT_KEYS", "auto", ("auto", "always", "never"))
if VOICEBOT_KEYS == "auto" and not env.LOOPBACK.issuperset([VOICEBOT_HOST, *ALLOWED_HOSTS]):
    VOICEBOT_KEYS = "always"

# Requests a minute, 0 for any number.
VOICEBOT_KEY_REQUESTS_PER_MINUTE = env.integer("VOICEBOT_KEY_REQUESTS_PER_MINUTE", 300, minimum=0)
VOICEBOT_ADDRESS_REQUESTS_PER_MINUTE = env.integer(
    "VOICEBOT_ADDRESS_REQUESTS_PER_MINUTE", 60, minimum=0
)
# How many proxies stand in front: so many addresses of X-Forwarded-For are believed, from the last.
VOICEBOT_PROXIES = env.integer("VOICEBOT_PROXIES", 0, minimum=0)

# Whose pages may ask the API, besides our own.
CORS_ALLOWED_ORIGINS = env.names("VOICEBOT_CORS_ORIGINS", "")
CORS_URLS_REGEX = r"^/(api|v1)/"
CORS_ALLOW_HEADERS = [
    *("accept", "authorization", "cache-control", "content-type", "range"),
    *("x-api-key", "x-request-id"),
    # OpenAI's own client tells of itself.
    *("x-stainless-arch", "x-stainless-helper-method", "x-stainless-lang", "x-stainless-os"),
    *("x-stainless-package-version", "x-stainless-retry-count", "x-stainless-runtime"),
    *("x-stainless-runtime-version", "x-stainless-timeout"),
]
CORS_EXPOSE_HEADERS = [
    *("Content-Range", "ETag", "Retry-After", "Server-Timing", "X-Cache", "X-Outbound", "X-Reply"),
    *("X-Request-Id", "X-Speech-Engine", "X-Transcript"),
]


def _kept_secret_key() -> str:
    """Made on the first run and kept beside the data, readable by its owner alone."""
    path = VOICEBOT_DATA_DIR / "secret_key"
    if not path.exists():
        # Complete before it has its name: of several processes that start at once, one wins.
        with tempfile.NamedTemporaryFile("w", dir=VOICEBOT_DATA_DIR) as file:
            file.write(secrets.token_urlsafe(50))
            file.flush()
            with contextlib.suppress(FileExistsError):
                os.link(file.name, path)
    return path.read_text().strip()


SECRET_KEY = env.text("VOICEBOT_SECRET_KEY") or _kept_secret_key()

INSTALLED_APPS = [
    # Before staticfiles, whose runserver ours extends.
    "api.apps.ApiConfig",
    "access.apps.AccessConfig",
    "cache.apps.CacheConfig",
    "history.apps.HistoryConfig",
    "jobs.apps.JobsConfig",
    "pipeline.apps.PipelineConfig",
    "web.apps.WebConfig",
    "console.apps.SiteConfig",  # Django's admin
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "rest_framework",
    "corsheaders",
    "axes",
    "django_tasks",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "console.apps.ConsoleConfig",  # the last one: it looks at the others
]

MIDDLEWARE = [
    "api.middleware.request_id",
    "corsheaders.middleware.CorsMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "csp.middleware.CSPMiddleware",
    "axes.middleware.AxesMiddleware",  # the last one that does anything, as its authors want
    "api.middleware.in_one_thread",
]

ROOT_URLCONF = "voicebot.urls"
ASGI_APPLICATION = "voicebot.asgi.application"
WSGI_APPLICATION = "voicebot.wsgi.application"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "console" / "templates"],  # before those of Django's admin
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]

DATABASES: dict[str, dict[str, Any]] = {
    "default": {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": VOICEBOT_DATA_DIR / "db.sqlite3",
        "OPTIONS": {
            # Readers do not wait for the writer; a writer takes its lock at once, so that two
            # of them queue up instead of failing with "database is locked".
            # What is deleted is overwritten.
            "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; "
            "PRAGMA secure_delete=ON;",
            "transaction_mode": "IMMEDIATE",
            "timeout": 20,
        },
    },
}
if postgresql := env.database("VOICEBOT_DATABASE_URL"):
    if not (find_spec("psycopg") and find_spec("psycopg_pool")):
        raise ImproperlyConfigured(
            "VOICEBOT_DATABASE_URL needs packages: pip install -r requirements-ray.txt"
        )
    # Threads come and go with the requests; connections stay, and are looked at before use.
    pool = {"min_size": 1, "max_size": 20, "timeout": 10}
    postgresql["OPTIONS"]["pool"] = pool
    DATABASES["default"] = {**postgresql, "CONN_HEALTH_CHECKS": True}

STORAGES: dict[str, dict[str, Any]] = {**global_settings.STORAGES}
if bucket := env.bucket("VOICEBOT_SPEECH_STORE"):
    if not (find_spec("storages") and find_spec("boto3")):
        raise ImproperlyConfigured(
            "VOICEBOT_SPEECH_STORE needs packages: pip install -r requirements-ray.txt"
        )
    from botocore.config import Config

    # A turn waits for it, and speaks without where it does not answer.
    bucket["client_config"] = Config(
        connect_timeout=3,
        read_timeout=10,
        retries={"mode": "standard", "total_max_attempts": 3},
        max_pool_connections=50,
        s3={"addressing_style": bucket.pop("addressing_style", "auto")},
    )
    STORAGES["speech"] = {"BACKEND": "storages.backends.s3.S3Storage", "OPTIONS": bucket}

LOCMEM = "django.core.cache.backends.locmem.LocMemCache"
CACHES: dict[str, dict[str, Any]] = {
    "default": {"BACKEND": LOCMEM},
    # Transcripts and replies: see cache/memory.py.
    "memory": {
        "BACKEND": LOCMEM,
        "LOCATION": "memory",
        "TIMEOUT": VOICEBOT_MEMORY_S,
        "OPTIONS": {"MAX_ENTRIES": 2_000},
    },
    # Who has asked how often: see api/throttles.py.
    "requests": {"BACKEND": LOCMEM, "LOCATION": "requests", "OPTIONS": {"MAX_ENTRIES": 10_000}},
}
if postgresql:  # whichever process is asked
    CACHES["requests"]["BACKEND"] = "django.core.cache.backends.db.DatabaseCache"

# Who does what need not be waited for.
TASKS = {"default": {"BACKEND": "jobs.worker.InProcess"}}

# Of a request that is being received, the rest is on the disk: slow ones are many at once.
FILE_UPLOAD_MAX_MEMORY_SIZE = 256_000
FILE_UPLOAD_HANDLERS = [
    "django.core.files.uploadhandler.MemoryFileUploadHandler",
    "api.uploads.NamelessUploads",
]

DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator"},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]

LANGUAGE_CODE = "fr"
LANGUAGES = [("fr", "Français"), ("en", "English")]
# That of commands; whoever asks the server says so in each request.
TERMINAL_LANGUAGE = env.language() if env.language() in dict(LANGUAGES) else LANGUAGE_CODE
LOCALE_PATHS = [BASE_DIR / "locale"]
TIME_ZONE = env.text("TZ", "UTC")
USE_TZ = True

STATIC_URL = "static/"
WHITENOISE_USE_FINDERS = True  # no `collectstatic`, nothing to forget

REST_FRAMEWORK = {
    # `?format=` is read by `api.renderers`; addresses in the answer are not to repeat it.
    "URL_FORMAT_OVERRIDE": None,
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["rest_framework.parsers.MultiPartParser"],
    "DEFAULT_AUTHENTICATION_CLASSES": ["api.authentication.KeyAuthentication"],
    "DEFAULT_PERMISSION_CLASSES": ["api.authentication.LetIn"],
    "UNAUTHENTICATED_USER": None,
    "DEFAULT_THROTTLE_CLASSES": ["api.throttles.ByKey", "api.throttles.ByAddress"],
    "EXCEPTION_HANDLER": "api.exceptions.exception_handler",
    "DEFAULT_SCHEMA_CLASS": "api.description.answers.Schema",
}
SPECTACULAR_SETTINGS = {
    "OAS_VERSION": "3.1.0",
    "TITLE": "voicebot",
    "VERSION": VERSION,
    "DESCRIPTION": "A self-hosted voice assistant: a spoken question in, a spoken answer out.",
    "LICENSE": {"name": "MIT", "identifier": "MIT"},
    "SERVERS": [{"url": "/"}],
    "PREPROCESSING_HOOKS": ["api.description.describing.described"],
    "POSTPROCESSING_HOOKS": [],
    "SORT_OPERATIONS": False,  # they come as the addresses do
    "COMPONENT_SPLIT_REQUEST": True,  # a file is sent, and its address is answered
    "ENUM_GENERATE_CHOICE_DESCRIPTION": False,
    "APPEND_COMPONENTS": {
        "securitySchemes": {
            "bearer": {"type": "http", "scheme": "bearer", "description": "An API key."},
            "header": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
        }
    },
    "TAGS": [
        {"name": "Turns", "description": "A spoken question in, a spoken answer out."},
        {"name": "Conversations", "description": "Turns that are remembered, and read again."},
        {"name": "Jobs", "description": "A long recording in, its transcript out, later."},
        {"name": "OpenAI’s API", "description": "Its calls, for clients that know nothing else."},
        {"name": "Service", "description": "Where things are, and how they are."},
    ],
}

# Who guesses passwords of the admin waits; counted in memory, by address.
AUTHENTICATION_BACKENDS = [
    "axes.backends.AxesStandaloneBackend",
    "django.contrib.auth.backends.ModelBackend",
]
AXES_FAILURE_LIMIT = 5
AXES_COOLOFF_TIME = timedelta(minutes=15)
AXES_LOCKOUT_PARAMETERS = ["ip_address"]
AXES_CLIENT_IP_CALLABLE = "access.addresses.network"
AXES_RESET_ON_SUCCESS = True
AXES_HANDLER = "axes.handlers.cache.AxesCacheHandler"
AXES_CACHE = "requests"
AXES_DISABLE_ACCESS_LOG = True
# In memory, processes would count each for itself: with several, there are more guesses, not any
# number. And nothing of it is left on the disk.
SILENCED_SYSTEM_CHECKS = ["axes.W001"]
AXES_ENABLE_ADMIN = False
AXES_VERBOSE = False

SECURE_CONTENT_TYPE_NOSNIFF = True
X_FRAME_OPTIONS = "DENY"
# Of all that does not say otherwise, as the page does: only what comes from this server, and no
# script or style inside of pages.
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": ["'none'"],
        **{f"{kind}-src": ["'self'"] for kind in ("connect", "font", "img")},
        "media-src": ["'self'", "blob:"],  # what the admin says before it is kept
        **{f"{kind}-src": ["'self'"] for kind in ("script", "style")},
        "base-uri": ["'none'"],
        "form-action": ["'self'"],
        "frame-ancestors": ["'none'"],
    },
}

# There is TLS, by a proxy in front or by the server itself: nothing is said without it from now on.
VOICEBOT_HTTPS = env.flag("VOICEBOT_HTTPS", default=False)
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = LANGUAGE_COOKIE_SECURE = VOICEBOT_HTTPS
SECURE_SSL_REDIRECT = VOICEBOT_HTTPS
SECURE_REDIRECT_EXEMPT = [r"^api/health/"]  # asked from within
SECURE_HSTS_SECONDS = 31_536_000 if VOICEBOT_HTTPS else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_HSTS_PRELOAD = VOICEBOT_HTTPS
if VOICEBOT_HTTPS and VOICEBOT_PROXIES:
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")

LOG_FORMAT = env.choice("VOICEBOT_LOG_FORMAT", "line", ("line", "json"))
LOG_LEVEL = env.choice("VOICEBOT_LOG_LEVEL", "INFO", ("DEBUG", "INFO", "WARNING", "ERROR"))
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "line": {"format": "%(asctime)s %(levelname)s %(name)s [%(request_id)s] %(message)s"},
        "json": {
            "()": "pythonjsonlogger.json.JsonFormatter",
            "fmt": ["levelname", "name", "request_id", "message"],
            "rename_fields": {"levelname": "level", "name": "logger"},
            "timestamp": "time",
            "json_ensure_ascii": False,
        },
    },
    "filters": {
        "identified": {"()": "pipeline.logs.Identified"},
        # Refusals and a service that is still loading are answers, not news.
        "bugs": {
            "()": "django.utils.log.CallbackFilter",
            "callback": lambda record: bool(record.exc_info),
        },
    },
    "handlers": {
        "stderr": {
            "class": "access.logs.Discreet",
            "filters": ["identified"],
            "formatter": LOG_FORMAT,
        }
    },
    "root": {"handlers": ["stderr"], "level": LOG_LEVEL},
    "loggers": {
        "django.request": {"filters": ["bugs"]},
        # Their line per utterance or request would say less than ours.
        "faster_whisper": {"level": "WARNING"},
        "gguf": {"level": "WARNING"},
        "httpx2": {"level": "WARNING"},
    },
}
