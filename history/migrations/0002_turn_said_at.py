import django.utils.timezone
from django.apps.registry import Apps
from django.db import migrations, models
from django.db.backends.base.schema import BaseDatabaseSchemaEditor


def as_created(apps: Apps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    turns = apps.get_model("history", "Turn").objects.using(schema_editor.connection.alias)
    turns.update(said_at=models.F("created_at"))


class Migration(migrations.Migration):
    dependencies = [
        ("history", "0001_initial"),
    ]

    operations = [
        migrations.AddField(
            model_name="turn",
            name="said_at",
            field=models.DateTimeField(
                db_index=True,
                default=django.utils.timezone.now,
                help_text="When it was first asked, where it is tried again.",
                verbose_name="said",
            ),
        ),
        migrations.RunPython(as_created, migrations.RunPython.noop),
    ]
