"""Every address of the API. Those that end in a slash are understood without it, and vice versa:
a redirect would lose the recording that came with the request."""

from django.urls import URLPattern, path, register_converter

from api import conversations, health, jobs, views
from api.description.views import DocsView, SchemaView
from api.serializers import KEYS

app_name = "api"


class Keys:
    regex = KEYS

    def to_python(self, value: str) -> list[str]:
        return value.split("+")

    def to_url(self, value: list[str]) -> str:
        return "+".join(value)


register_converter(Keys, "keys")


def both_ways(route: str, view: type[views.ApiView], name: str) -> list[URLPattern]:
    """``route``, which is the name's address, and the same with or without a slash at its end,
    which is not described."""
    other = route[:-1] if route.endswith("/") else f"{route}/"
    return [path(route, view.as_view(), name=name), path(other, view.as_view(schema=None))]


urlpatterns = [
    path("", views.IndexView.as_view(), name="index"),
    *both_ways("voice/", views.VoiceView, "voice"),
    *both_ways("voices/", views.VoicesView, "voices"),
    *both_ways("conversations/", conversations.ConversationsView, "conversations"),
    *both_ways("conversations/<uuid:pk>/", conversations.ConversationView, "conversation"),
    *both_ways("conversations/<uuid:pk>/turns/<uuid:turn>/", conversations.KeptTurnView, "turn"),
    *both_ways(
        "conversations/<uuid:pk>/turns/<uuid:turn>/replay/", conversations.ReplayView, "replay"
    ),
    path(
        "conversations/<uuid:pk>/turns/<uuid:turn>/utterance.wav",
        conversations.UtteranceView.as_view(),
        name="utterance",
    ),
    path(
        "conversations/<uuid:pk>/turns/<uuid:turn>/speech.wav",
        conversations.AnswerView.as_view(),
        name="answer",
    ),
    *both_ways("jobs/", jobs.JobsView, "jobs"),
    *both_ways("jobs/<uuid:pk>/", jobs.JobView, "job"),
    *both_ways("jobs/<uuid:pk>/events", jobs.EventsView, "job-events"),
    *both_ways("jobs/<uuid:pk>/result", jobs.ResultView, "job-result"),
    path("speech/<keys:keys>.wav", views.SpeechView.as_view(), name="speech"),
    *both_ways("schema/", SchemaView, "schema"),
    *both_ways("docs/", DocsView, "docs"),
    *both_ways("health/live", health.LiveView, "live"),
    *both_ways("health/ready", health.ReadyView, "ready"),
]
