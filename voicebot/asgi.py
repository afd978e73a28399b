"""The ASGI application, and the start of the engines behind it."""

import os

from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "voicebot.settings")

from pipeline import memory
from voicebot import tracing

memory.keep_arenas_few()
tracing.start()
django_application = get_asgi_application()

# They import our apps, hence after Django is set up.
from api.limits import BodyLimit  # noqa: E402
from voicebot import housekeeping  # noqa: E402
from voicebot.leaving import GivesNotice  # noqa: E402
from voicebot.startup import start  # noqa: E402

application = GivesNotice(BodyLimit(django_application))
start()
housekeeping.start()
