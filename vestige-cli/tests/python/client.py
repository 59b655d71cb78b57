"""Drives `vestige mcp` with the official Python client.

usage: client.py PROGRAM MODE, where MODE is `legacy` (the initialize handshake) or `auto` (server/discover).
The memory is the one that the environment names, and it is empty. Prints `done` at the end.
"""

import itertools
import json
import os
import sys
import warnings

import anyio
import mcp_types as types
from mcp import StdioServerParameters
from mcp.client.client import Client
from mcp.client.stdio import stdio_client
from mcp.shared.exceptions import MCPError

warnings.simplefilter("ignore")

TOOLS = ["remember", "recall", "get", "update", "forget", "link", "neighbors", "review", "due", "stats"]
TEXT = "Deploys are frozen on Fridays after noon."


async def roots(_context):
    return types.ListRootsResult(roots=[types.Root(uri="file:///home/ada/tide%20water")])


async def ok(client, tool, arguments=None, **options):
    """Calls a tool that has to succeed. The client itself checks the answer against the output schema."""
    result = await client.call_tool(tool, arguments or {}, **options)
    assert not result.is_error, f"{tool}: {result.content}"
    assert result.content[0].text, f"{tool} says nothing in words"
    assert result.structured_content is not None, f"{tool} has no structured content"
    return with_contents(result.structured_content, result.content[0].text)


def with_contents(structured, text):
    """The structured part with the contents of memories, which stand in the text, quoted."""
    found = [structured.get(name) for name in ("results", "memories", "neighbors", "due")]
    found = [memory for memories in found if isinstance(memories, list) for memory in memories]
    for memory in [*found, structured.get("memory")]:
        if not memory or "id" not in memory:
            continue
        lines = text.split("\n")
        at = next((n for n, line in enumerate(lines) if f"[{memory['id']}] " in line and not line.startswith("> ")), None)
        if at is None:
            continue
        quoted = list(itertools.takewhile(lambda line: line.startswith("> "), lines[at + 1 :]))
        if set(memory["metadata"]) - {"mcp_client_id", "session_id"} and memory["length"] == memory["characters"]:
            quoted.pop()
        memory["content"] = "\n".join(line.removeprefix("> ") for line in quoted)
    return structured


async def refused(client, tool, arguments, *words):
    """Calls a tool that has to refuse, in words that a model can act on."""
    result = await client.call_tool(tool, arguments)
    text = result.content[0].text
    assert result.is_error, f"{tool} accepted {str(arguments)[:80]}"
    assert len(text) < 500 and all(word in text for word in words), text


async def lists(client):
    tools = {tool.name: tool for tool in (await client.list_tools()).tools}
    assert list(tools) == TOOLS, list(tools)
    for tool in tools.values():
        assert tool.description and tool.title and tool.input_schema["type"] == "object" and tool.output_schema, tool.name
    assert tools["recall"].annotations.read_only_hint is True
    assert tools["forget"].annotations.destructive_hint is True
    assert tools["forget"].annotations.idempotent_hint is True
    assert tools["remember"].annotations.destructive_hint is False
    assert [str(resource.uri) for resource in (await client.list_resources()).resources] == ["vestige://stats"]
    templates = (await client.list_resource_templates()).resource_templates
    assert [template.uri_template for template in templates] == ["vestige://memory/{id}"]


async def remembers_and_recalls(client, codebase):
    memory = {
        "content": TEXT,
        "type": "decision",
        "tags": ["deploys"],
        "file": "ops/freeze.md",
        "topics": ["releases"],
        "metadata": {"ticket": "QW-204"},
    }
    other = {"content": "The harbour master keeps a parrot called Bolota.", "codebase": "elsewhere"}
    stored = await ok(client, "remember", {"memories": [memory, other]})
    assert stored["stored"] == 2, stored
    first, second = (result["id"] for result in stored["results"])

    hit = (await ok(client, "recall", {"query": "when may I ship to production on a Friday?"}))["results"][0]
    assert (hit["id"], hit["content"], hit["type"], hit["tags"]) == (first, TEXT, "decision", ["deploys"]), hit
    assert hit["codebase"] == codebase, hit
    expected = {"ticket": "QW-204", "file": "ops/freeze.md", "topics": ["releases"], "mcp_client_id": "tester 1.2"}
    assert expected.items() <= hit["metadata"].items() and hit["metadata"]["session_id"], hit
    # The other one is beside it in the session of this connection; the words did not find it.
    found = (await ok(client, "recall", {"query": "frozen deploys", "mode": "keyword"}))["results"]
    assert [(hit["id"], hit["fts_score"] is not None) for hit in found] == [(first, True), (second, False)], found
    for arguments, ids in [
        ({"tags": ["deploys"]}, [first]),
        ({"tags": ["none"]}, []),
        ({"codebases": ["elsewhere"], "mode": "keyword"}, []),
        ({"since": "1h", "types": ["decision"]}, [first]),
        ({"until": "2001-01-01"}, []),
    ]:
        found = await ok(client, "recall", {"query": "frozen deploys", **arguments})
        assert [hit["id"] for hit in found["results"]] == ids, (arguments, found)

    again = await ok(client, "remember", {"memories": [{"content": TEXT + " Really."}, {"content": "Ropes are tarred in May."}]})
    assert again["stored"] == 1, again
    near = again["results"][0]["near"]
    assert near["id"] == first and 0.9 < near["similarity"] < 1 and near["only_new"] == ["Really"] and again["results"][0]["id"] is None, near
    forced = await ok(client, "remember", {"memories": [{"content": TEXT}], "force": True})
    assert forced["stored"] == 1 and forced["results"][0]["near"]["similarity"] > 0.999, forced
    twice = {"memories": [{"content": "Gulls sleep on the north pier."}, {"content": "Gulls sleep on the north pier."}]}
    assert [result["stored"] for result in (await ok(client, "remember", twice))["results"]] == [True, False]
    return first, second


async def uses_the_rest(client, first, second):
    linked = await ok(client, "link", {"source_id": first, "target_id": second, "type": "causes", "weight": 0.5})
    assert linked["link"]["type"] == "causes", linked
    reached = await ok(client, "neighbors", {"id": second})
    assert [(n["id"], n["hops"], n["score"]) for n in reached["neighbors"]] == [(first, 1, 0.5)], reached

    schedule = (await ok(client, "review", {"id": first, "rating": "good"}))["schedule"]
    assert schedule["stability_days"] == 2.3065 and schedule["reps"] == 1, schedule
    assert schedule["retrievability"] > 0.99 and 1 <= schedule["difficulty"] <= 10 and schedule["next_review"]
    assert (await ok(client, "due"))["due"] == []

    changed = await ok(client, "update", {"id": first, "content": "Deploys are frozen on Thursdays.", "metadata": {"ticket": None}})
    assert changed["changed"] and "ticket" not in changed["memory"]["metadata"], changed
    got = await ok(client, "get", {"ids": [first, "019bb17c-0e40-7978-a6a1-2a42c7957ab5"]})
    assert got["missing"] == ["019bb17c-0e40-7978-a6a1-2a42c7957ab5"], got
    memory = got["memories"][0]
    assert memory["content"] == "Deploys are frozen on Thursdays." and memory["schedule"]["reps"] == 1, memory
    assert len(memory["links"]) == 1 and memory["tags"] == ["deploys"], memory

    resource = json.loads((await client.read_resource(f"vestige://memory/{first}")).contents[0].text)
    for view in (resource, memory):
        assert 0.99 < view["schedule"].pop("retrievability") <= 1.0  # of two moments
    assert resource == memory, resource
    assert json.loads((await client.read_resource("vestige://stats")).contents[0].text) == await ok(client, "stats")

    gone = await ok(client, "forget", {"ids": [second, second]})
    assert gone["forgotten"] == [second], gone
    assert (await ok(client, "forget", {"ids": [second]}))["missing"] == [second]
    assert (await ok(client, "neighbors", {"id": first}))["neighbors"] == []


async def refuses(client, first):
    before = await ok(client, "stats")
    missing = "019bb17c-0e40-7978-a6a1-2a42c7957ab5"
    await refused(client, "remember", {"memories": []}, "1 to 1000")
    await refused(client, "remember", {"memories": [{"content": "fine"}, {"content": "  "}]}, "memories[1]", "content")
    await refused(client, "remember", {"memories": [{"content": 5}]}, "memories[0].content", "must be a string")
    await refused(client, "remember", {"memories": [{"content": "x", "colour": "red"}]}, "colour")
    await refused(client, "remember", {"memories": [{"content": "a\u0000b"}]}, "U+0000")
    await refused(client, "recall", {"query": 5}, "query", "must be a string")
    await refused(client, "recall", {"cursor": "here"}, "cursor", "next")
    assert len((await ok(client, "recall", {}))["results"]) == len((await ok(client, "recall", {"query": "*"}))["results"]) > 0
    await refused(client, "recall", {"query": "x", "limit": 0}, "1 to 100")
    await refused(client, "recall", {"query": "x", "since": "yesterday"}, "since", "7d")
    await refused(client, "update", {"id": missing, "content": "x"}, "does not exist", "recall")
    await refused(client, "review", {"id": first, "rating": "perfect"}, "again", "easy")
    await refused(client, "review", {"id": missing, "rating": "good"}, "does not exist")
    await refused(client, "link", {"source_id": first, "target_id": first}, "itself")
    await refused(client, "neighbors", {"id": first, "limit": 0}, "1 to 256")
    await refused(client, "get", {"ids": ["zz"]}, "zz", "recall")
    await refused(client, "get", {"ids": ["ffffff"]}, "ffffff", "recall")
    try:
        await client.call_tool("rm", {})
        raise AssertionError("an unknown tool was called")
    except MCPError as error:
        assert "unknown tool" in str(error) and "recall" in str(error), error
    try:
        await client.read_resource(f"vestige://memory/{missing}")
        raise AssertionError("a memory that is not there was read")
    except MCPError as error:
        assert "there is no resource" in str(error), error
    assert await ok(client, "stats") == before


async def cancels(client):
    """A call that is given up while it works stores nothing, and the connection goes on."""
    before = await ok(client, "stats")
    words = ["anchor", "buoy", "cable", "deck", "engine", "flag", "gull", "harbour", "island", "jetty", "keel"]
    texts = [f"{words[n % 11]} {words[n // 11 % 11]} {words[n // 121 % 11]} {n}" for n in range(1000)]
    arguments = {"memories": [{"content": text} for text in texts], "force": True}
    seen = []
    with anyio.CancelScope() as scope:

        async def progress(done, total, message):
            seen.append((done, total))
            scope.cancel()

        await client.call_tool("remember", arguments, progress_callback=progress)
    assert scope.cancelled_caught and seen[0][1] == 2000, seen
    assert await ok(client, "stats") == before

    seen.clear()

    async def count(done, total, message):
        seen.append(done)

    stored = await ok(client, "remember", arguments, progress_callback=count)
    assert stored["stored"] == 1000, stored["stored"]
    assert len(seen) > 10 and seen == sorted(seen), seen
    assert (await ok(client, "stats"))["memories"] == before["memories"] + 1000


async def main(program, mode):
    server = StdioServerParameters(command=program, args=["mcp"], env=dict(os.environ), cwd=os.getcwd())
    info = types.Implementation(name="tester", version="1.2")
    with open("server.log", "w", encoding="utf-8") as log:
        async with Client(
            stdio_client(server, errlog=log), mode=mode, client_info=info, list_roots_callback=roots
        ) as client:
            await lists(client)
            # The protocol of 2026-07-28 has no roots: then it is the git repository that the server runs in.
            codebase = "tide water" if mode == "legacy" else "lighthouse"
            first, second = await remembers_and_recalls(client, codebase)
            await uses_the_rest(client, first, second)
            await refuses(client, first)
            await cancels(client)
    print("done")


if __name__ == "__main__":
    anyio.run(main, sys.argv[1], sys.argv[2])
