"""The ASGI application: assembles engines, conversation and wires."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as package_version
from typing import Final

import socketio
from fastapi import FastAPI
from pydantic import SecretStr
from starlette.datastructures import Headers
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from jarvis_backend.agents import Agents, QueuedRooms
from jarvis_backend.auth import Auth, LoginLimiter, Password
from jarvis_backend.config import BackendConfig, load
from jarvis_backend.conversation import Conversation, Engines
from jarvis_backend.endpoints.event_bus import EventBus, event_bus_routes
from jarvis_backend.endpoints.http import (
    console_routes,
    health_routes,
    require,
    speech_routes,
    status_routes,
)
from jarvis_backend.endpoints.login import login_routes
from jarvis_backend.endpoints.realtime_wav import realtime_routes
from jarvis_backend.endpoints.session_pcm import session_pcm_routes
from jarvis_backend.endpoints.voice_socketio import VoiceNamespace
from jarvis_backend.endpoints.voice_ws import voice_ws_routes
from jarvis_backend.endpoints.websocket import WebSocketRoute
from jarvis_backend.engines.choose import choose_engines
from jarvis_backend.errors import EngineError
from jarvis_backend.host_check import HostCheck, HostRules
from jarvis_backend.message_queue import MessageQueue
from jarvis_backend.rate_limit import SocketIoLimiter
from jarvis_backend.sessions import Sessions

_LOG: Final = logging.getLogger(__name__)

SOCKETIO_PATH: Final = "/socket.io"
"""Default path of Socket.IO clients."""

PING_INTERVAL_S: Final = 25
"""Seconds between pings of a satellite, as in the production backend."""

PING_TIMEOUT_S: Final = 10
"""Maximum seconds until the answer."""


def create_app(
    config: BackendConfig | None = None,
    engines: Engines | None = None,
    *,
    now: Callable[[], float] = time.monotonic,
) -> FastAPI:
    """Build the application. A server loads its models when it starts it.

    Without ``config`` the options come from the environment. Tests pass ``engines``, and a
    monotonic clock as ``now``.
    """
    config = config or load()
    engines = engines or choose_engines(config)
    auth = _auth(config)
    conversation = Conversation(engines, config.limits, log_transcripts=config.log.transcripts)
    queue = _queue(config)
    agents = Agents(queue, time.time)
    voice = VoiceNamespace(auth, conversation, config.limits, now, agents)
    rules = HostRules({config.host, *config.allow_hosts}, config.allow_origins)
    rooms = QueuedRooms(queue)
    sio = _socketio_server(config, rules, rooms)
    sio.register_namespace(voice)

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        warm_up = asyncio.create_task(_prepare(engines))
        await queue.start()
        await agents.start()
        engines.brain.start(conversation)
        try:
            yield
        finally:
            warm_up.cancel()
            for each in (voice, engines, rooms, agents, queue):
                await each.aclose()
            await sio.shutdown()

    app = FastAPI(
        title="Jarvis reference backend",
        lifespan=lifespan,
        openapi_url=None,
    )
    if config.allow_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=config.allow_origins,
            allow_methods=["GET", "POST"],
            allow_headers=["Authorization", "Content-Type"],
        )

    def has_token(headers: Headers) -> bool:
        offered = headers.get("sec-websocket-protocol", "").split(",")[0].strip()
        return auth.has_token(headers.get("authorization"), [offered])

    app.add_middleware(HostCheck, rules=rules, has_token=has_token)
    app.add_exception_handler(ClientDisconnect, _on_disconnect)
    app.include_router(login_routes(auth, LoginLimiter(config.limits.guesses_per_min, queue, now)))
    app.include_router(health_routes(engines, _version(), now))

    def route() -> WebSocketRoute:
        return WebSocketRoute(auth, config.limits, now)

    app.include_router(  # first, because the owner may choose the path of another wire
        realtime_routes(route(), config.realtime_path, conversation, config.limits, time.time)
    )
    app.include_router(voice_ws_routes(route(), conversation, config.limits))
    require_access = require(auth)
    sessions = Sessions(config.limits.connections, queue)
    app.include_router(
        session_pcm_routes(route(), require_access, conversation, config.limits, sessions)
    )
    bus_key = _secret(config.bus_key)
    bus = EventBus(None if bus_key is None else bus_key.encode(), time.time, queue)
    app.include_router(event_bus_routes(route(), bus))
    app.include_router(status_routes(require_access, agents, bus))
    app.include_router(speech_routes(require_access, engines.tts, config.limits))
    if config.console:
        app.include_router(console_routes(config.realtime_path))
    voice_app = socketio.ASGIApp(sio, socketio_path=SOCKETIO_PATH)
    app.mount(SOCKETIO_PATH, SocketIoLimiter(voice_app, config.limits, now, voice))
    return app


async def _on_disconnect(_request: Request, _error: Exception) -> Response:
    """Answer a client that left before its request was complete, without an error in the log."""
    return Response(status_code=400)


def _auth(config: BackendConfig) -> Auth:
    return Auth(
        Password(config.password.get_secret_value(), config.password_hash.get_secret_value()),
        _secret(config.jwt_secret),
        time.time,
        require_token=config.require_token,
    )


def _queue(config: BackendConfig) -> MessageQueue:
    if not config.message_queue:
        return MessageQueue()
    from jarvis_backend.redis_queue import RedisQueue  # noqa: PLC0415 - for several processes only

    return RedisQueue(config.message_queue, _secret(config.queue_password))


def _secret(option: SecretStr | None) -> str | None:
    return None if option is None else option.get_secret_value()


def _socketio_server(
    config: BackendConfig, rules: HostRules, rooms: QueuedRooms
) -> socketio.AsyncServer:
    # The library logs tokens and sound at INFO.
    quiet = logging.getLogger("jarvis_backend.socketio")
    quiet.setLevel(logging.CRITICAL)

    def allows(origin: str, environ: dict[str, str]) -> bool:
        return rules.allows_origin(origin, environ.get("HTTP_HOST", ""))

    return socketio.AsyncServer(
        async_mode="asgi",
        client_manager=rooms,
        # With several processes the requests of one long-polling client reach different ones.
        transports=["websocket"] if config.message_queue else ["polling", "websocket"],
        async_handlers=False,  # handlers run in the order of the messages
        ping_interval=PING_INTERVAL_S,
        ping_timeout=PING_TIMEOUT_S,
        max_http_buffer_size=config.limits.message_bytes,
        cors_allowed_origins=allows,
        logger=quiet,
        engineio_logger=quiet,
    )


async def _prepare(engines: Engines) -> None:
    """Load models while the first satellite connects; each turn reports a failure again."""
    for engine in (engines.stt, engines.tts):
        try:
            await engine.prepare()
        except EngineError as error:
            _LOG.warning("%s is not ready: %s", engine.name, error)


def _version() -> str:
    try:
        return package_version("jarvis-ear")
    except PackageNotFoundError:
        return "unknown"  # not installed, but run from its sources
