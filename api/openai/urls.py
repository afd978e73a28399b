"""The addresses of OpenAI's API that are answered here."""

from django.urls import path

from api.openai import audio, chat, models
from api.urls import both_ways

app_name = "openai"

urlpatterns = [
    *both_ways("models", models.ModelsView, "models"),
    path("models/<path:name>", models.ModelView.as_view(), name="model"),
    *both_ways("chat/completions", chat.ChatView, "chat"),
    *both_ways("audio/transcriptions", audio.TranscriptionsView, "transcriptions"),
    *both_ways("audio/translations", audio.TranslationsView, "translations"),
    *both_ways("audio/speech", audio.SpeechView, "speech"),
    *both_ways("audio/voices", audio.VoicesView, "voices"),
    *both_ways("audio/models", audio.SpeechModelsView, "speech-models"),
]
