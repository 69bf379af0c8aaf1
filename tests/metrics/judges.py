"""Judges for tests: an endpoint on this machine that does what a script says, and a tiny vision-language model."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self

Act = Callable[["_Handler", dict[str, Any]], None]


@dataclass
class Endpoint:
    """An OpenAI-compatible endpoint; ``script`` says what to do with each request, ``usual`` with those after it."""

    script: list[Act] = field(default_factory=list)
    usual: Act | None = None
    requests: list[dict[str, Any]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    times: list[float] = field(default_factory=list)

    def __enter__(self) -> Self:
        self._lock = threading.Lock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
        self._server.daemon_threads = True
        self._server.endpoint = self  # type: ignore[attr-defined]
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}/v1"

    def next(self, handler: _Handler, request: dict[str, Any]) -> Act:
        with self._lock:
            self.times.append(time.monotonic())
            self.requests.append(request)
            self.headers.append(dict(handler.headers))
            return self.script.pop(0) if self.script else self.usual or says(rating())


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        assert self.path == "/v1/chat/completions"
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.endpoint.next(self, request)(self, request)  # type: ignore[attr-defined]

    def reply(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None: ...


def rating(score: float = 70, criterion: float = 7, **more: Any) -> Callable[[dict[str, Any]], str]:
    """An answer that fits the schema of whatever was asked."""

    def answer(request: dict[str, Any]) -> str:
        names = request["response_format"]["json_schema"]["schema"]["required"]
        given = dict.fromkeys(names, criterion) | {"explanation": "It zooms, as the reference does.", "score": score}
        return json.dumps(given | more)

    return answer


USAGE = {"prompt_tokens": 1000, "completion_tokens": 50}


def says(content: str | Callable[[dict[str, Any]], str], usage: Any = USAGE) -> Act:
    """Answer with this message, and count tokens like this."""

    def act(handler: _Handler, request: dict[str, Any]) -> None:
        text = content if isinstance(content, str) else content(request)
        completion = {
            "model": "served-model-001",
            "choices": [{"message": {"role": "assistant", "content": text}, "finish_reason": "stop"}],
            "usage": usage,
        }
        handler.reply(200, json.dumps(completion).encode())

    return act


def turns_down(status: int, text: str = "no", **headers: str) -> Act:
    """Answer with an HTTP error."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda handler, _: handler.reply(status, text.encode(), named)


def sleeps(seconds: float) -> Act:
    """Answer, but late."""

    def act(handler: _Handler, request: dict[str, Any]) -> None:
        time.sleep(seconds)
        try:
            says(rating())(handler, request)
        except OSError:  # nobody waits any more
            handler.close_connection = True

    return act


def hangs_up(handler: _Handler, request: dict[str, Any]) -> None:
    """Close the connection without a word."""
    handler.close_connection = True
    handler.connection.close()


def trickles(handler: _Handler, request: dict[str, Any]) -> None:
    """Send a byte now and then, for ever."""
    handler.send_response(200)
    handler.send_header("Content-Length", "1000")
    handler.end_headers()
    try:
        for _ in range(1000):
            handler.wfile.write(b" ")
            handler.wfile.flush()
            time.sleep(0.05)
    except OSError:
        handler.close_connection = True


def texts(request: dict[str, Any]) -> Iterator[str]:
    """Every text of a request."""
    for message in request["messages"]:
        parts = message["content"]
        if isinstance(parts, str):
            yield parts
        else:
            yield from (part["text"] for part in parts if part["type"] == "text")


def pictures(request: dict[str, Any]) -> list[str]:
    """Every picture of a request, as a data URL."""
    return [part["image_url"]["url"] for part in request["messages"][1]["content"] if part["type"] == "image_url"]


_SPECIAL = ("<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|vision_start|>", "<|vision_end|>", "<|image_pad|>")
_TEMPLATE = """{% for m in messages %}<|im_start|>{{ m['role'] }}
{% for c in m['content'] -%}
{% if c['type'] == 'image' %}<|vision_start|><|image_pad|><|vision_end|>{% else %}{{ c['text'] }}
{% endif %}{% endfor %}<|im_end|>
{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant
{% endif %}"""


def write_tiny_vlm(folder: Path) -> None:
    """Write a Qwen2-VL with random weights and a tokenizer of single bytes, as ``hf download`` would."""
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import (
        PreTrainedTokenizerFast,
        Qwen2VLConfig,
        Qwen2VLForConditionalGeneration,
        Qwen2VLImageProcessor,
        Qwen2VLProcessor,
        Qwen2VLVideoProcessor,
    )

    vocabulary = {byte: token for token, byte in enumerate(sorted(pre_tokenizers.ByteLevel.alphabet()))}
    bytes_only = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    bytes_only.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bytes_only.decoder = decoders.ByteLevel()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=bytes_only, eos_token="<|im_end|>", pad_token="<|endoftext|>")
    tokenizer.add_special_tokens({"additional_special_tokens": [*_SPECIAL, "<|video_pad|>"]})
    token = {name: tokenizer.convert_tokens_to_ids(name) for name in (*_SPECIAL, "<|video_pad|>")}
    config = Qwen2VLConfig(
        text_config={
            "vocab_size": len(tokenizer),
            "hidden_size": 32,
            "intermediate_size": 64,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "num_key_value_heads": 2,
            "max_position_embeddings": 8192,
            "rope_scaling": {"type": "mrope", "mrope_section": [2, 3, 3]},
            "eos_token_id": token["<|im_end|>"],
        },
        vision_config={
            "depth": 1,
            "embed_dim": 32,
            "hidden_size": 32,
            "num_heads": 2,
            "mlp_ratio": 2,
            "patch_size": 14,
        },
        image_token_id=token["<|image_pad|>"],
        video_token_id=token["<|video_pad|>"],
        vision_start_token_id=token["<|vision_start|>"],
        vision_end_token_id=token["<|vision_end|>"],
    )
    torch.manual_seed(0)
    Qwen2VLForConditionalGeneration(config).save_pretrained(folder)
    Qwen2VLProcessor(
        image_processor=Qwen2VLImageProcessor(min_pixels=28 * 28, max_pixels=56 * 56),
        tokenizer=tokenizer,
        video_processor=Qwen2VLVideoProcessor(),
        chat_template=_TEMPLATE,
    ).save_pretrained(folder)
