"""Links the page of a run with those of its parent and its children.

INVARIANT: what a model or a caller wrote goes through `inert` or `link`: the UI renders Markdown.
"""

from backstay.contracts.status import RunStatusView
from backstay.kernel.markdown import inert, link

_SHOWN = 20


def relatives(status: RunStatusView, namespace: str) -> list[str]:
    """Returns the lines about the run above and the runs below; none where there are neither."""
    lines: list[str] = []
    if status.parent is not None:
        lines += ["", f"**Asked by:** {_link(status.parent, status.parent, namespace)}"]
    if status.children:
        lines += ["", "**Child runs:**", ""]
    for child in status.children[:_SHOWN]:
        name = inert(child.agent) if child.run_id is None else _link(child.agent, child.run_id, namespace)
        why = f" ({inert(child.stop_reason)})" if child.stop_reason and child.stop_reason != child.state else ""
        lines.append(f"- {name} · {child.state}{why} · {child.usd} USD")
    if (more := len(status.children) - _SHOWN) > 0:
        lines.append(f"- and {more} more")
    return lines


def _link(text: str, run_id: str, namespace: str) -> str:
    return link(text, "namespaces", namespace, "workflows", run_id)
