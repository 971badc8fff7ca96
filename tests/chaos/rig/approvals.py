"""What must hold of the answers of people: each releases what it was given for, once and in time."""

from collections.abc import Iterator

from .evidence import Evidence, Seen, time_of


def no_approval_is_released_twice_or_late(found: Evidence) -> Iterator[str]:
    for seen in found.seen:
        yes = _approvals_of(seen, found)
        if isinstance(yes, str):
            yield yes
            continue
        for effect in (one for one in found.effects if one.run == seen.run and one.tool == "transfer"):
            if effect.call not in yes:
                yield f"{seen.run}: {effect.item} was transferred, and nobody had approved it"
            elif effect.at < yes[effect.call]:
                yield f"{seen.run}: {effect.item} was transferred before it was approved"
        yield from _late_or_twice(seen, found)


def _approvals_of(seen: Seen, found: Evidence) -> dict[str, float] | str:
    """Returns the calls that were approved, and when; or what is wrong with that."""
    calls: dict[str, str] = {}
    yes: dict[str, float] = {}
    for record in seen.audit:
        facts = record["facts"]
        if record["event"] == "approval_opened":
            calls[facts["approval"]["approval_id"]] = facts["approval"]["call_id"]
        if record["event"] == "approval_ended" and facts["end"] == "approved":
            yes[calls[facts["approval_id"]]] = time_of(record)
            if "yes" not in found.said.get(facts["approval_id"], []):
                return f"{seen.run}: {facts['approval_id']} is said to be approved, and nobody said yes"
    return yes


def _late_or_twice(seen: Seen, found: Evidence) -> Iterator[str]:
    expires: dict[str, int] = {}
    ended: set[str] = set()
    for record in seen.audit:
        facts = record["facts"]
        approval_id = facts.get("approval_id", "")
        match record["event"]:
            case "approval_opened":
                expires[facts["approval"]["approval_id"]] = facts["approval"]["expires_at_ms"]
            case "thawed":
                gained = facts["held_ms"]
                expires = {one: at if one in ended else at + gained for one, at in expires.items()}
            case "approval_voted":
                if approval_id in ended:
                    yield f"{seen.run}: a yes to {approval_id} counted after its end"
                if time_of(record) * 1_000 >= expires[approval_id]:
                    yield f"{seen.run}: a yes to {approval_id} counted after it had expired"
            case "approval_ended":
                if approval_id in ended:
                    yield f"{seen.run}: {approval_id} ended twice"
                ended.add(approval_id)
            case _:
                pass
