"""What all lists share: ``fields``, ``Range``, ``filter`` and the answer (spec §2.7 to §2.10)."""

from collections.abc import Callable, Iterable, Mapping

from starlette.responses import Response

from backup_api.endpoints import Endpoint
from backup_api.paging import ItemRange, content_range
from backup_engine.query.binding import Bound
from backup_engine.query.fields import Selection, select
from backup_engine.query.matching import fulfils
from backup_engine.query.shapes import JsonValue, Members
from backup_engine.routes.answers import build_answer
from backup_engine.routes.call import Call
from backup_engine.routes.parameters import convert_fields, convert_filter, convert_range

Element = Mapping[str, JsonValue]


def answer_element(endpoint: Endpoint, element: Element, selection: Selection | None) -> Response:
    """Build the answer with one object, cut down to ``selection``."""
    return build_answer(select(element, selection), endpoint.success)


def answer_whole(
    endpoint: Endpoint, elements: Iterable[Element], selection: Selection | None
) -> Response:
    """Build the answer with a list that takes no ``Range``."""
    return build_answer([select(element, selection) for element in elements], endpoint.success)


def answer_page(
    endpoint: Endpoint,
    elements: Iterable[Element],
    selection: Selection | None,
    first: int,
    total: int,
) -> Response:
    """Build the answer with a stretch of a list; ``Content-Range`` always goes with it."""
    selected = [select(element, selection) for element in elements]
    headers = {"Content-Range": content_range(first, len(selected), total)}
    return build_answer(selected, endpoint.success, headers)


def answer_fixed_list(
    call: Call,
    endpoint: Endpoint,
    elements: Iterable[Element],
    members: Members,
    rewrite: Callable[[Bound], Bound] | None = None,
) -> Response:
    """Answer a list that is in memory as a whole and cannot be sorted, such as the hosts.

    ``rewrite`` is done to the filter before it is applied.
    """
    query = call.query()
    selection = convert_fields(query.get("fields"), members)
    items = convert_range(call.headers.get("range"))
    condition = convert_filter(query.get("filter"), members)
    if condition is not None and rewrite is not None:
        condition = rewrite(condition)
    wanted = [each for each in elements if condition is None or fulfils(each, condition)]
    items = items or ItemRange(0, len(wanted))
    page = wanted[items.first : items.last + 1]
    return answer_page(endpoint, page, selection, items.first, len(wanted))
