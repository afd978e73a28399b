"""What is answered in JSON, field by field. Nothing is read or written by these: a test holds what
is answered against them."""

from __future__ import annotations

from rest_framework import serializers as fields

Body = fields.Serializer[None]

CACHE = ["hit", "miss", "off"]


class Problem(Body):
    """Any error."""

    detail = fields.CharField(help_text="For people, in the language of the request.")
    code = fields.CharField(help_text="For programs; never changes.")
    fields = fields.DictField(  # type: ignore[assignment] # it is not what a serializer means by it
        child=fields.ListField(child=fields.CharField()),
        required=False,
        help_text="What is wrong with each field of the form.",
    )


class Addresses(Body):
    """Where things are."""

    voice = fields.URLField()
    voices = fields.URLField()
    conversations = fields.URLField()
    jobs = fields.URLField()
    live = fields.URLField()
    ready = fields.URLField()
    schema = fields.URLField()
    docs = fields.URLField()


class Voice(Body):
    """Who speaks."""

    id = fields.CharField()
    language = fields.CharField(help_text="ISO 639-1.")
    name = fields.CharField()
    gender = fields.ChoiceField(choices=["female", "male"], allow_null=True)
    default = fields.BooleanField(help_text="Speaks where its language is asked for and no voice.")


class Segment(Body):
    """A stretch of an utterance that was heard as one."""

    start = fields.FloatField(help_text="Seconds from the beginning of the utterance.")
    end = fields.FloatField(help_text="Seconds.")
    text = fields.CharField()


class Transcript(Body):
    """What was heard."""

    text = fields.CharField()
    language = fields.CharField(help_text="ISO 639-1.")
    segments = Segment(many=True)


class Failure(Body):
    """Why a job failed."""

    detail = fields.CharField(help_text="For people.")
    code = fields.CharField(help_text="For programs; never changes.")


class Job(Body):
    """A recording that is too long to be waited for."""

    id = fields.UUIDField()
    status = fields.ChoiceField(choices=["waiting", "running", "done", "failed", "cancelled"])
    created_at = fields.DateTimeField()
    started_at = fields.DateTimeField(allow_null=True)
    finished_at = fields.DateTimeField(allow_null=True)
    expires_at = fields.DateTimeField(
        allow_null=True, help_text="When it goes, with all that was heard; null: not finished yet."
    )
    language = fields.CharField(allow_null=True, help_text="ISO 639-1; null: not detected yet.")
    task = fields.ChoiceField(choices=["transcribe", "translate"])
    duration = fields.FloatField(allow_null=True, help_text="Seconds; null: not read yet.")
    heard = fields.FloatField(help_text="Seconds of it.")
    progress = fields.FloatField(help_text="From 0 to 1.")
    error = Failure(allow_null=True)
    url = fields.URLField()
    events_url = fields.URLField()
    result_url = fields.URLField()


class LongTranscript(Transcript):
    """What was heard in a long recording."""

    duration = fields.FloatField(help_text="Of the recording, in seconds.")


class ReplyDelta(Body):
    """A piece of the reply."""

    delta = fields.CharField(trim_whitespace=False)


class Sentence(Body):
    """Speech of one sentence of the reply."""

    text = fields.CharField()
    duration = fields.FloatField(help_text="Seconds.")
    voice = fields.CharField(help_text="Id of the voice that spoke.")
    engine = fields.CharField(help_text="Which engine spoke.")
    cache = fields.ChoiceField(choices=CACHE)
    url = fields.URLField(allow_null=True, help_text="Null where it is not kept.")


class SpokenSentence(Sentence):
    """Speech of one sentence or of a piece of one, with its sound."""

    audio = fields.CharField(help_text="A WAV, in base64.")
    last = fields.BooleanField(help_text="Whether the sentence ends with it.")


class Speech(Body):
    """Speech of the reply."""

    url = fields.URLField(allow_null=True, help_text="Null where some of it is not kept.")
    duration = fields.FloatField(help_text="Seconds.")
    voice = fields.CharField(help_text="Id of the voice that spoke first.")
    sentences = Sentence(many=True)


class Times(Body):
    """Seconds from the end of the upload. Stages overlap: their sum may exceed the total."""

    decode = fields.FloatField()
    wait = fields.FloatField(help_text="For others, before any stage; no part of it.")
    stt = fields.FloatField()
    llm = fields.FloatField()
    llm_first = fields.FloatField(help_text="Until the reply began.")
    tts = fields.FloatField()
    first_audio = fields.FloatField(help_text="Until there was speech.")
    total = fields.FloatField()


class CacheStates(Body):
    """Per stage: kept from before, made and kept now, or not kept."""

    stt = fields.ChoiceField(choices=CACHE)
    llm = fields.ChoiceField(choices=CACHE)
    tts = fields.ChoiceField(choices=CACHE)


class Identities(Body):
    """Per stage, what decides its results: engine, weights, options."""

    stt = fields.DictField(child=fields.CharField())
    llm = fields.DictField(child=fields.CharField())
    tts = fields.DictField(child=fields.CharField())


class Outbound(Body):
    """Per stage: whether what it works on leaves the machine."""

    stt = fields.BooleanField()
    llm = fields.BooleanField()
    tts = fields.BooleanField()


class Place(Body):
    """Where a turn is in its conversation."""

    id = fields.UUIDField(help_text="Of the conversation.")
    number = fields.IntegerField(help_text="Of the turn, from 1.")
    turn = fields.URLField(help_text="All that is known of it.")


class Turn(Body):
    """An utterance, the reply to it and its speech."""

    id = fields.CharField(help_text="Of the request, as in `X-Request-Id`.")
    conversation = Place(allow_null=True, help_text="Null where it is in none.")
    language = fields.CharField(help_text="ISO 639-1.")
    transcript = Transcript()
    reply = fields.CharField()
    speech = Speech()
    times = Times()
    cache = CacheStates()
    engines = Identities()
    outbound = Outbound()


class Live(Body):
    """The process answers."""

    status = fields.ChoiceField(choices=["live"])


class Engine(Body):
    """One engine."""

    engine = fields.CharField(allow_null=True)
    loaded = fields.BooleanField()
    outbound = fields.BooleanField(allow_null=True)
    hangs = fields.BooleanField(help_text="None of its calls ends: the server has to start anew.")


class Engines(Body):
    """Those of all stages."""

    stt = Engine()
    llm = Engine()
    tts = Engine()


class Disk(Body):
    """Where the data is."""

    free_bytes = fields.IntegerField(allow_null=True)
    ok = fields.BooleanField()


class Database(Body):
    """Where the rows are."""

    ok = fields.BooleanField()


class Ready(Body):
    """Whether a turn would be answered now; nothing else to who needs a key and has none."""

    status = fields.ChoiceField(choices=["ready", "unavailable", "leaving"])
    engines = Engines(required=False)
    disk = Disk(required=False)
    database = Database(required=False)
