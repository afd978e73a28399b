"""The WSGI application, and the start of the engines behind it."""

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "voicebot.settings")

from pipeline import memory
from voicebot import tracing

memory.keep_arenas_few()
tracing.start()
application = get_wsgi_application()

# Imports our apps, hence after Django is set up.
from voicebot import housekeeping  # noqa: E402
from voicebot.startup import start  # noqa: E402

start()
housekeeping.start()
