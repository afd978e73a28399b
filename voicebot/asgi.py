"""The ASGI application, and the start of the engines behind it."""

import os
import warnings

from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "voicebot.settings")

from pipeline import memory
from voicebot import tracing

# Of files of the page, which are small: nobody who reads the log can do anything about it.
warnings.filterwarnings("ignore", "StreamingHttpResponse must consume synchronous iterators")
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
