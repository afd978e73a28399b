from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("cache", "0004_pronunciation"),
    ]

    operations = [
        migrations.AlterField(
            model_name="cachedspeech",
            name="engine",
            field=models.CharField(db_index=True, max_length=100, verbose_name="engine"),
        ),
        migrations.AlterField(
            model_name="cachedspeech",
            name="language",
            field=models.CharField(db_index=True, max_length=16, verbose_name="language"),
        ),
        migrations.AlterField(
            model_name="cachedspeech",
            name="tenant",
            field=models.CharField(
                blank=True,
                db_index=True,
                default="",
                help_text="Who alone hears it again. Empty: whoever asks without a key.",
                max_length=64,
                verbose_name="tenant",
            ),
        ),
        migrations.AlterField(
            model_name="cachedspeech",
            name="voice",
            field=models.CharField(db_index=True, max_length=100, verbose_name="voice"),
        ),
        migrations.AddIndex(
            model_name="cachedspeech",
            index=models.Index(fields=["size_bytes", "duration", "hits"], name="cache_totals"),
        ),
    ]
