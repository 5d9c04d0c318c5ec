"""A stdio server that is wrong in one way, which its argument names. The load generator must catch each of them."""

from __future__ import annotations

import json
import sys

WRONG_AT = 40
"""The request, counted from the opening, at which the server goes wrong."""


def reply(number: object, text: str = "hello") -> str:
    result = {"resultType": "complete", "content": [{"type": "text", "text": text}]}
    return json.dumps({"jsonrpc": "2.0", "id": number, "result": result})


def answers(fault: str, number: int) -> list[str]:
    """The lines to write instead of the one right reply."""
    faults = {
        "drops an id": [],
        "answers twice": [reply(number), reply(number)],
        "wrong content": [reply(number, "hallo")],
        "answers with a string id": [reply(str(number))],
        "answers another id": [reply(number + 100_000)],
        "is an error": [json.dumps({"jsonrpc": "2.0", "id": number, "error": {"code": -32603, "message": "no"}})],
        "speaks unasked": [json.dumps({"jsonrpc": "2.0", "method": "notifications/message"}), reply(number)],
        "is not JSON": ["hello there", reply(number)],
    }
    return faults[fault]


def main() -> None:
    fault = sys.argv[1]
    seen = 0
    for line in sys.stdin:
        message = json.loads(line)
        if "id" not in message:
            continue
        seen += 1
        if seen == WRONG_AT and fault == "dies":
            sys.exit("the reason stands in its stderr")
        if seen >= WRONG_AT and fault == "falls silent":
            continue
        lines = answers(fault, message["id"]) if seen == WRONG_AT and fault != "nothing" else [reply(message["id"])]
        for text in lines:
            print(text, flush=True)


main()
