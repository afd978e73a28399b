import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("history", "0002_turn_said_at"),
    ]

    operations = [
        migrations.RemoveIndex(
            model_name="turn",
            name="history_figures",
        ),
        migrations.AlterField(
            model_name="turn",
            name="replay_of",
            field=models.ForeignKey(
                blank=True,
                db_index=False,
                null=True,
                on_delete=django.db.models.deletion.CASCADE,
                related_name="replays",
                to="history.turn",
                verbose_name="tries again",
            ),
        ),
        migrations.AddIndex(
            model_name="turn",
            index=models.Index(
                fields=["created_at", "replay_of", "first_audio_s", "code", "tts_cache"],
                name="history_figures",
            ),
        ),
        migrations.AddIndex(
            model_name="turn",
            index=models.Index(
                fields=["first_audio_s", "created_at", "replay_of"], name="history_heard"
            ),
        ),
        migrations.AddIndex(
            model_name="turn",
            index=models.Index(
                condition=models.Q(("replay_of__isnull", False)),
                fields=["replay_of"],
                name="history_replays",
            ),
        ),
        migrations.AddIndex(
            model_name="turn",
            index=models.Index(
                fields=["utterance_bytes", "speech_bytes"], name="history_kept_sounds"
            ),
        ),
    ]
