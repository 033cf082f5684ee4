"""What schemathesis cannot know: which jobs, persons and deliveries there are, and rules that no schema can say."""

import json
import os

import schemathesis
from schemathesis import GenerationMode

KNOWN = json.loads(os.environ["CAUSEWAY_KNOWN"])


def one_of(known, value):
    """One of what is known, or now and then what was made up. The same for the same value."""
    choice = sum(value.encode()) % (len(known) + 1)
    return known[choice] if choice < len(known) else value


def replace(body, name, known, is_well_formed):
    """Changes only what is well formed, so that what was made wrong on purpose stays wrong."""
    value = body.get(name)
    if known and isinstance(value, str) and is_well_formed(value):
        body[name] = one_of(known, value)


def in_range(value):
    """Numbers that a double holds: a document with others is refused as unreadable, and no schema says so shortly."""
    if isinstance(value, dict):
        return {name: in_range(member) for name, member in value.items()}
    if isinstance(value, list):
        return [in_range(item) for item in value]
    if isinstance(value, int) and not isinstance(value, bool):
        return value % 2**53
    return value


@schemathesis.hook
def map_case(context, case):
    body = case.body
    if not isinstance(body, dict):
        return case
    body = dict(body)
    # The document comes first in a multipart body: order is not a thing that a schema can ask for.
    if isinstance(body.get("application"), dict):
        body = {"application": dict(body["application"]), **{name: body[name] for name in body if name != "application"}}
    document = body["application"] if isinstance(body.get("application"), dict) else body
    if isinstance(document.get("extensions"), dict):
        document["extensions"] = in_range(document["extensions"])
    replace(document, "job", KNOWN["jobs"], lambda text: text.strip() and len(text) <= 200)
    replace(body, "email", KNOWN["emails"], lambda text: "@" in text)
    for name, prefix in (("delivery", "del_"), ("submission", "sub_"), ("after", "sub_")):
        replace(body, name, KNOWN[name], lambda text: text.startswith(prefix) and len(text) == 36)
    # A window ends after it begins.
    if isinstance(body.get("since"), str) and isinstance(body.get("until"), str):
        body["since"], body["until"] = sorted([body["since"], body["until"]])
        if body["since"] == body["until"]:
            del body["until"]
    case.body = body
    return case


@schemathesis.check
def preflight_refuses(context, response, case):
    """What a submit would not take is said so by a preflight, in its answer."""
    is_wrong = case.meta and case.meta.generation.mode == GenerationMode.NEGATIVE
    if case.operation.definition.raw.get("operationId") != "preflight" or response.status_code != 200 or not is_wrong:
        return
    body = case.meta.components.get("body") if hasattr(case.meta, "components") else None
    if body is not None and body.mode == GenerationMode.NEGATIVE:
        assert response.json()["submit"]["status"] != 202, "a document that breaks the contract would be taken"
