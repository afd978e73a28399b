from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("history", "0003_figures"),
    ]

    operations = [
        migrations.RemoveIndex(
            model_name="turn",
            name="history_latest",
        ),
        migrations.AlterField(
            model_name="turn",
            name="tenant",
            field=models.CharField(blank=True, db_index=True, max_length=64, verbose_name="tenant"),
        ),
        migrations.AddIndex(
            model_name="turn",
            index=models.Index(fields=["-created_at", "-id"], name="history_latest"),
        ),
    ]
