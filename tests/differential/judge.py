"""What pydantic-ai makes of recorded answers, as JSON: `python judge.py FILE…`, run by the Python of `.venv/judge`.

Each file is served on a socket to the vendor's own client, as pydantic-ai drives it. Nothing of `twinspeak` is here,
and nothing of pydantic-ai is in the development environment, so its packages are asked for by name.
"""

import asyncio
import importlib
import json
import sys
from pathlib import Path
from typing import Any

Said = dict[str, Any]


def part(module: str, name: str) -> Any:
    return getattr(importlib.import_module(f"pydantic_ai.{module}"), name)


def model_for(path: Path, base: str) -> Any:
    """Return pydantic-ai's model for a recording: by its folder, and by its name where a vendor has two wires."""
    match path.parent.name:
        case "anthropic":
            provider = part("providers.anthropic", "AnthropicProvider")(api_key="k", base_url=base)
            return part("models.anthropic", "AnthropicModel")("claude-sonnet-4-5", provider=provider)
        case "bedrock":
            keys = {"region_name": "us-east-1", "aws_access_key_id": "a", "aws_secret_access_key": "b"}
            provider = part("providers.bedrock", "BedrockProvider")(base_url=base, **keys)
            return part("models.bedrock", "BedrockConverseModel")("amazon.nova-pro-v1:0", provider=provider)
        case "gemini":
            provider = part("providers.google", "GoogleProvider")(api_key="k", base_url=base)
            return part("models.google", "GoogleModel")("gemini-3-pro-preview", provider=provider)
        case "groq":
            provider = part("providers.groq", "GroqProvider")(api_key="k", base_url=base)
            return part("models.groq", "GroqModel")("openai/gpt-oss-120b", provider=provider)
        case "mistral":
            provider = part("providers.mistral", "MistralProvider")(api_key="k", base_url=base)
            return part("models.mistral", "MistralModel")("magistral-medium-latest", provider=provider)
        case _:
            return _openai_like(path, base)


def _openai_like(path: Path, base: str) -> Any:
    openai: Any = importlib.import_module("openai")
    client = openai.AsyncOpenAI(api_key="k", base_url=base, max_retries=0)
    if path.parent.name == "openrouter":
        provider = part("providers.openrouter", "OpenRouterProvider")(openai_client=client)
        return part("models.openrouter", "OpenRouterModel")("vendor/model", provider=provider)
    if path.parent.name == "deepseek":
        provider = part("providers.deepseek", "DeepSeekProvider")(openai_client=client)
        return part("models.openai", "OpenAIChatModel")("deepseek-reasoner", provider=provider)
    kind = "OpenAIResponsesModel" if path.name.startswith("responses-") else "OpenAIChatModel"
    return part("models.openai", kind)(
        "gpt-5", provider=part("providers.openai", "OpenAIProvider")(openai_client=client)
    )


async def judge(path: Path, body: bytes) -> Said:
    """Return text, reasoning, calls, tokens and the reason of the end; or the name of the error."""
    kind = "application/vnd.amazon.eventstream" if path.suffix == ".bin" else "text/event-stream"
    head = f"HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked = (await reader.readuntil(b"\r\n\r\n")).lower()
        length = asked.partition(b"content-length:")[2].split(b"\r\n")[0]
        await reader.readexactly(int(length or 0))
        writer.write(head.encode() + body)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        base = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        try:
            return _said(await _read(model_for(path, base)))
        except part("exceptions", "AgentRunError") as error:
            return {"fails": type(error).__name__}


async def _read(model: Any) -> Any:
    question = part("messages", "ModelRequest").user_text_prompt("?")
    wanted = part("models", "ModelRequestParameters")()
    opened = part("direct", "model_request_stream")(model, [question], model_request_parameters=wanted)
    async with opened as stream:
        async for _ in stream:
            pass
        return stream.get()


def _said(response: Any) -> Said:
    parts: dict[str, list[Any]] = {}
    for one in response.parts:
        parts.setdefault(one.part_kind, []).append(one)
    calls = [[call.tool_name, call.args_as_dict()] for call in parts.get("tool-call", ())]
    usage = response.usage
    counted = [usage.input_tokens, usage.cache_read_tokens, usage.output_tokens]
    return {
        "text": "".join(one.content for one in parts.get("text", ())),
        "thinking": "\n\n".join(one.content for one in parts.get("thinking", ()) if one.content),
        "signatures": [one.signature for one in parts.get("thinking", ()) if one.signature],
        "tools": calls,
        "usage": counted if any(counted) else None,
        "stop": response.finish_reason,
    }


async def main(files: dict[Path, bytes]) -> Said:
    return {str(path): await judge(path, body) for path, body in files.items()}


if __name__ == "__main__":
    paths = map(Path, sys.argv[1:])
    sys.stdout.write(json.dumps(asyncio.run(main({path: path.read_bytes() for path in paths}))))
