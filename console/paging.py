"""Long lists: what is looked for is searched once, and only the rows of one page are read."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

from django.contrib import admin
from django.contrib.admin.views.main import ChangeList
from django.core.paginator import Page, Paginator
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.text import capfirst

if TYPE_CHECKING:
    _ModelAdmin = admin.ModelAdmin[Any]  # generic in the stubs alone
else:
    _ModelAdmin = admin.ModelAdmin

FEW: Final = 2_000
"""Keys that are read at once, which tells how many there are as well."""


class Pages(Paginator[Any]):
    """As Django's, where ``object_list`` is a query."""

    object_list: QuerySet[Any]

    @cached_property
    def count(self) -> int:
        return self.object_list.order_by().count() if self._few is None else len(self._few)

    @cached_property
    def _few(self) -> Sequence[Any] | None:
        """The keys of all that is found, in no order: whoever looks for a little in the order of
        an index reads all of the table, row by row. None where it is much."""
        if not self._searched:
            return None
        found = list(self.object_list.order_by().values_list("pk", flat=True)[: FEW + 1])
        return None if len(found) > FEW else found

    @property
    def _searched(self) -> bool:
        return bool(self.object_list.query.where)

    def page(self, number: int | str) -> Page[Any]:
        number = self.validate_number(number)
        first = (number - 1) * self.per_page
        last = first + self.per_page
        if self._few is not None:
            found = self.object_list.filter(pk__in=self._few)[first:last]
        elif self._searched:
            found = self.object_list[first:last]
        else:  # far behind, rows are passed over in an index
            keys = list(self.object_list.values_list("pk", flat=True)[first:last])
            found = self.object_list.filter(pk__in=keys)
        return Page(found, number, self)


class OnePageToo(ChangeList):
    """Is named by what it lists, and does not search again for what fits one page."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.title = capfirst(str(self.opts.verbose_name_plural))

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        if not (self.multi_page or self.show_all):
            self.result_list = self.paginator.page(1).object_list


class LongLists(_ModelAdmin):
    """For every list of the site."""

    paginator = Pages

    def get_changelist(self, request: HttpRequest, **options: Any) -> type[ChangeList]:
        return OnePageToo

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> tuple[Any, Any, Any, Any]:
        """What goes with ``objs`` is counted, not listed: that may be a lot, and what was said."""
        found, counts, lacking, protected = super().get_deleted_objects(objs, request)
        nested: list[Any] = found  # what goes with one is a list, behind it
        own = [told for told in nested if not isinstance(told, list)]
        return own, counts, lacking, protected
